"""Sending. The folders, read in this order, are the life of a message: `preflight`, `sending`, `outcomes`.

`routing` and `gateways` say by whom, `inbound` what comes back from handsets, `upkeep` and `restore` keep it honest.
"""
