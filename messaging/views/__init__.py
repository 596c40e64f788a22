"""Pages on messages and replies, and where providers push their reports."""
