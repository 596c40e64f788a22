"""By which gateway, how fast, and what happens when one fails.

`router.py` chooses, `throttle.py` paces, `failover.py` moves batches away from a gateway that is down.
"""
