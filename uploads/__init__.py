"""Recipients: files, audiences, contact lists, and numbers that are never texted.

Begin with `services.py`; `files/` reads a file.
"""
