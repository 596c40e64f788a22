"""How an installation reports its state to operators: health, metrics and system checks.

Begin with `health`; `checks` lists what `manage.py check --deploy` reports.
"""
