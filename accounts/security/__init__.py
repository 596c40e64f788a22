"""Protection of an installation: the audit log, encrypted secrets, and the hold of all sending."""
