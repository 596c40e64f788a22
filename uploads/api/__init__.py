"""Endpoints of uploads, contact lists and suppressions."""
