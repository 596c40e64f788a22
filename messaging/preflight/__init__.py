"""Before sending: the receipt, the preview, and what a text costs."""
