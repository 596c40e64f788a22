"""What every page of the dashboard begins with: account and mode, who may see it, forms that are carried out once."""
