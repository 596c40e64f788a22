"""What became of messages: answers, delivery reports and look-ups become facts, written by `settlement.apply`.

Begin with `settlement.py`, the only writer; `report_inbox.py` takes reports in, `reconciliation.py` asks for lost
answers.
"""
