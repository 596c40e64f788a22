"""When: recurring campaigns, the rule they follow, and quiet hours."""
