"""Pages on accounts, people, keys and webhooks."""
