"""The only SQL that differs by database: rows of messages, and counters."""
