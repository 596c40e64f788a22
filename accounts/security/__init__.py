"""What protects an installation: the audit log, encrypted secrets, the switch that holds all sending."""
