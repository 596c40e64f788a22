"""Texts with placeholders, and how they are rendered for each recipient: begin with `rendering.py`."""
