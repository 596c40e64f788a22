"""Endpoints of campaigns, recurring campaigns and templates."""
