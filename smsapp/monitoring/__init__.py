"""How an installation tells its operators how it is: health, metrics, system checks."""
