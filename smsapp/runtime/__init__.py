"""The processes of an installation: the supervisor, beat, workers, the web server."""
