"""Money in millionths of a currency: prices, prepaid credit, daily quotas.

Begin with `credit.py`: reserve, charge, refund.
"""
