"""Who calls and what they may: keys, tokens, sessions, members, invitations.

`authentication.py` finds the caller, `principal.py` is the caller, `permissions.py` decides.
"""
