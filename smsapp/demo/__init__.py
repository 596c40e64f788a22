"""`make demo` and the account it uses."""
