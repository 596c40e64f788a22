"""Times with their seconds and zone: an operator compares them with a log."""

DATETIME_FORMAT = "Y-m-d H:i:s T"
