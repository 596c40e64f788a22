"""Pages on campaigns; `wizard_who`, `wizard_text` and `wizard_send` are the steps from a file to a campaign."""
