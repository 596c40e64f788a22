"""Base classes of the operator console, which is Django's admin."""
