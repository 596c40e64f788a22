"""Finds what overstays its state, and checks that states, counters and rows agree.

`state_owners.py` lists who moves each state on, and until when.
"""
