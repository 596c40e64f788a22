"""When campaigns are sent: recurring campaigns, the rules they follow, and quiet hours."""
