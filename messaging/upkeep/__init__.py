"""What overstays its state, and whether states, counters and rows agree.

`state_owners.py` lists who moves each state on, and until when.
"""
