"""What happened to messages: answers, delivery reports and look-ups become facts, applied by `settlement.apply`.

Begin with `settlement.py`, the only writer. `report_inbox.py` accepts reports, `reconciliation.py` looks up lost
answers.
"""
