"""Query parameters: named, bounded, and refused when nobody knows them. A misspelt filter never shows everything."""

from collections.abc import Collection
from datetime import datetime
from typing import TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError as Refused
from rest_framework.request import Request

from accounts.models import Account
from smsapp.api.fields import ZonedDateTimeField
from smsapp.exceptions import ValidationError
from smsapp.lib.phone import RefusedNumber, parse_number

Row = TypeVar("Row", bound=Model)

CREATED = [
    OpenApiParameter(
        "created_after", OpenApiTypes.DATETIME, description="From then on, with zone: `2027-06-17T18:00:00Z`."
    ),
    OpenApiParameter("created_before", OpenApiTypes.DATETIME, description="Before then, with zone."),
]
CURSOR = OpenApiParameter("cursor", str, description="From the `next` of the page before; good for this list only.")
LIMIT = OpenApiParameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, description="Rows of a page."
)
CREATED_NAMES = ("created_after", "created_before")


def require_known(request: Request, *names: str) -> None:
    """Raises ValidationError naming the first parameter that is not among `names` (or `format`), or stands twice."""
    for name, values in request.query_params.lists():
        if name not in names and name != "format":
            raise ValidationError("This parameter is not known.", name, values[-1])
        if len(values) > 1:
            raise ValidationError("This parameter stands twice.", name, values[-1])


def whole_number(request: Request, name: str, default: int, lowest: int, highest: int) -> int:
    """A whole number within bounds; raises ValidationError naming it."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 10 or not lowest <= int(text) <= highest:
        raise ValidationError(f"This must be a whole number from {lowest} to {highest}.", name, text)
    return int(text)


def limit_of(request: Request, default: int = 50, highest: int = 200) -> int:
    """Rows of a page."""
    return whole_number(request, "limit", default, 1, highest)


def choice_of(request: Request, name: str, choices: Collection[str]) -> str | None:
    """One of `choices`, or None if it is not asked for; raises ValidationError naming it."""
    text = request.query_params.get(name)
    if text is not None and text not in choices:
        raise ValidationError(f"This must be one of {', '.join(choices)}.", name, text)
    return text


def moment(request: Request, name: str) -> datetime | None:
    """A time with its zone, or None if it is not asked for; raises ValidationError naming it."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return ZonedDateTimeField().to_internal_value(text.replace(" ", "+"))  # a plus that nobody escaped
    except Refused as error:
        raise ValidationError("This must be a time with its zone, such as 2027-06-17T18:00:00Z.", name, text) from error


def number_of(request: Request, name: str, account: Account) -> str | None:
    """A phone number of any format in E.164, or None if it is not asked for; raises ValidationError naming it."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        # A plus that nobody escaped arrives as a blank.
        return parse_number(f"+{text[1:]}" if text.startswith(" ") else text, account.default_country)
    except RefusedNumber as error:
        raise ValidationError("This is not a phone number.", name, text) from error


def in_time(rows: QuerySet[Row], request: Request, column: str = "created_at") -> QuerySet[Row]:
    """Rows of `created_after` (inclusive) to `created_before` (exclusive), as far as they are asked for."""
    if (after := moment(request, "created_after")) is not None:
        rows = rows.filter(**{f"{column}__gte": after})
    if (before := moment(request, "created_before")) is not None:
        rows = rows.filter(**{f"{column}__lt": before})
    return rows
