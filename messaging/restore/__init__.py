"""A restored or copied database is detected, held, and compared with what the providers have.

Begin with `detection.py`; `release.py` ends the hold.
"""
