"""A provider on this machine, with the faults that providers have and a ledger of its own.

Begin with `server.py`.
"""
