"""A restored or copied database notices it, holds, and asks the providers what it has forgotten.

Begin with `detection.py`; `release.py` lifts the hold.
"""
