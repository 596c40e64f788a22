"""What every page of the dashboard begins with: account and mode, who may see it, and forms carried out once."""
