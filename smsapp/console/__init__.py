"""What the pages of the operator's console share."""
