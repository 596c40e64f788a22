"""What is sent, and when: from a draft to the end of a campaign.

Begin with `services.py`; `choices.py` has the states, `transitions.py` moves them.
"""
