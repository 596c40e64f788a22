"""Fields that are stricter than the framework's."""

import re
from datetime import datetime
from typing import Any

from rest_framework import serializers

_HAS_ZONE = re.compile(r"T.*(Z|[+-]\d\d:?\d\d)\Z", re.IGNORECASE).search


class ZonedDateTimeField(serializers.DateTimeField):
    """ISO 8601 with a zone: what 18:00 means must not depend on where our server stands."""

    default_error_messages = {"zone": "Say which zone is meant, for example 2027-06-17T18:00:00Z or ...+02:00."}

    def to_internal_value(self, value: Any) -> datetime:
        moment: datetime = super().to_internal_value(value)
        if isinstance(value, str) and not _HAS_ZONE(value.strip()):
            self.fail("zone")
        return moment
