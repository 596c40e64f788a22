"""The document of the API, made from the code."""
