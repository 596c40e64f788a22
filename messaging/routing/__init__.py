"""Which gateway carries a message, how fast, and what happens when one fails."""
