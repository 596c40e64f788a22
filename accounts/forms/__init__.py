"""Forms of the dashboard and of the console."""
