"""Fields that are stricter than the framework's."""

import re
from datetime import datetime, time
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from smsapp.api.statuses import Statuses

CLIENT_REFERENCE = r"^[!-~]([ -~]{0,62}[!-~])?\Z"
WALL_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z"
_HAS_ZONE = re.compile(r"T.*(Z|[+-]\d\d:?\d\d)\Z", re.IGNORECASE).search


class ZonedDateTimeField(serializers.DateTimeField):
    """ISO 8601 with a zone: what 18:00 means must not depend on where our server stands."""

    default_error_messages = {"zone": "Say which zone is meant, for example 2027-06-17T18:00:00Z or ...+02:00."}

    def to_internal_value(self, value: Any) -> datetime:
        moment: datetime = super().to_internal_value(value)
        if isinstance(value, str) and not _HAS_ZONE(value.strip()):
            self.fail("zone")
        return moment


class StatusField(serializers.ChoiceField):
    """A status as the API names it, in capitals; `statuses` is a table of `smsapp.api.statuses`."""

    def __init__(self, statuses: Statuses, **options: Any) -> None:
        super().__init__(statuses.choices, **{"read_only": True, **options})

    def to_representation(self, value: str) -> str:
        """The stored word in capitals; empty where there is none."""
        return value.upper()


class NextField(serializers.URLField):
    """Of each list: where it goes on."""

    def __init__(self) -> None:
        super().__init__(allow_null=True, help_text="Where the next page is; null at the end.")


class WallTimeField(serializers.RegexField):
    """`21:00`: a time on somebody's clock, without date and zone."""

    default_error_messages = {"invalid": "Hours and minutes of 24 hours, for example 21:00."}

    def __init__(self, **options: Any) -> None:
        super().__init__(WALL_TIME, **{"required": False, "default": None, "allow_null": True, **options})

    def run_validation(self, data: Any = empty) -> time | None:
        """Once its text has been found to be one."""
        value = super().run_validation(data)
        return time.fromisoformat(value) if isinstance(value, str) else value


class ClientReferenceField(serializers.RegexField):
    """The customer's own name for a send: 1 to 64 printable ASCII characters, so that it means the same everywhere."""

    default_error_messages = {"invalid": "1 to 64 printable ASCII characters, none of them at the ends a space."}

    def __init__(self, **options: Any) -> None:
        help_text = (
            "Your own name for it, e.g. `order-4711`: unique in your account, for ever. A second send with it is "
            "refused with DUPLICATE_REFERENCE, which names the first."
        )
        defaults = {"required": False, "default": None, "allow_null": True, "trim_whitespace": False}
        super().__init__(CLIENT_REFERENCE, **{**defaults, "help_text": help_text, **options})
