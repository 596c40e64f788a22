"""Endpoints of messages and delivery reports."""
