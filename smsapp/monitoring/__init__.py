"""How an installation reports its state to operators: health, metrics, system checks."""
