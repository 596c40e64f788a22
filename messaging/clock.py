"""The database's clock, of which this app was the first user: `smsapp/clock.py`."""

from smsapp.clock import about_now, now

__all__ = ["about_now", "now"]
