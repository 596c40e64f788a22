"""Endpoints of keys, tokens, senders, credit, usage and webhooks."""
