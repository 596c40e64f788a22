"""What every endpoint shares: envelope, errors, cursors, parameters, limits.

Begin with `views.py` and `errors.py`; `urls.py` lists the endpoints.
"""
