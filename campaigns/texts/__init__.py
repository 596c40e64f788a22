"""A text with placeholders, and what it becomes for each recipient."""
