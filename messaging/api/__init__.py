"""Endpoints that send one text, and look numbers and replies up."""
