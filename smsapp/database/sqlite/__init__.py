"""`ENGINE` of a database: `base.py`."""
