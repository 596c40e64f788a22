"""Django's two backends with what it leaves out: no wait for a database, and none inside a transaction, is endless."""
