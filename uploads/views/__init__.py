"""Pages on files, contact lists and opt-outs."""
