"""From a running campaign to calls of gateways.

Read `expansion.py`, then `dispatch.py` and its four steps: `leases`, `prepare`, `submit`, `record`.
"""
