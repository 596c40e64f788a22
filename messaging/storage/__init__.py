"""The only SQL that differs by database: rows of messages and reports, and counters."""
