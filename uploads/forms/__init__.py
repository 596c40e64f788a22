"""Forms of contact lists and suppressions."""
