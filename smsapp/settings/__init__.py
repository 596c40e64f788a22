"""`base` is the embedded default, `prod` what an installation behind TLS adds; each subject has a file."""
