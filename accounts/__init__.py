"""Who pays, and who may do what: accounts, people, keys, credit, webhooks.

Begin with `models/people.py`; `access/` decides who calls, `billing/` what it costs, `security/` what protects it.
"""
