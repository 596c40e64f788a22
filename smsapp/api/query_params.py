"""Query parameters: each view declares them once, for the document and for the check of every call.

    class MessageListView(AccountMixin, APIView):
        parameters = {"get": (text("bulk_id", "Of one send."), *PAGE)}

By action of a viewset, or by method. What is not declared is refused by name, and so is an empty value: a misspelt
filter, or one whose value is missing, never shows everything. All that is wrong is named in one answer.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError as Refused
from rest_framework.request import Request

from accounts.access.principal import caller_of
from smsapp.api.cursors import unsealed
from smsapp.api.fields import ZonedDateTimeField
from smsapp.core.exceptions import NAMELESS, Problems, ValidationError, shown
from smsapp.lib.phone import RefusedNumber, parse_number

Row = TypeVar("Row", bound=Model)

TEXT = {"type": "string", "minLength": 1, "pattern": r"^[^\x00]+$"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """`schema`: JSON Schema of its value; `read`: the value of a text, or a ValidationError."""

    name: str
    description: str
    schema: Mapping[str, Any]
    read: Callable[[str, Request], Any]
    default: Any = None

    def documented(self) -> OpenApiParameter:
        return OpenApiParameter(self.name, dict(self.schema), OpenApiParameter.QUERY, description=self.description)


def text(name: str, description: str) -> Parameter:
    return Parameter(name, description, TEXT, lambda given, request: given)


def choice(name: str, choices: Collection[str], description: str) -> Parameter:
    def read(given: str, request: Request) -> str:
        if given not in choices:
            raise ValidationError(f"This must be one of {', '.join(choices)}.", problem="NOT_A_CHOICE")
        return given

    return Parameter(name, description, {"type": "string", "enum": list(choices)}, read)


def whole(name: str, lowest: int, highest: int, description: str, default: int | None = None) -> Parameter:
    def read(given: str, request: Request) -> int:
        if not given.isascii() or not given.isdigit() or len(given) > 10 or not lowest <= int(given) <= highest:
            raise ValidationError(f"This must be a whole number from {lowest} to {highest}.")
        return int(given)

    schema = {"type": "integer", "minimum": lowest, "maximum": highest}
    return Parameter(name, description, schema if default is None else {**schema, "default": default}, read, default)


def moment(name: str, description: str) -> Parameter:
    """A time with its zone."""

    def read(given: str, request: Request) -> datetime:
        try:
            return ZonedDateTimeField().to_internal_value(given.replace(" ", "+"))  # a plus that nobody escaped
        except Refused as error:
            raise ValidationError("This must be a time with its zone, such as 2027-06-17T18:00:00Z.") from error

    return Parameter(name, description, {"type": "string", "format": "date-time"}, read)


def day(name: str, description: str) -> Parameter:
    def read(given: str, request: Request) -> date:
        try:
            found = date.fromisoformat(given)
        except ValueError:
            found = date.min
        if len(given) != 10 or not 2000 <= found.year <= 2999:
            raise ValidationError("This must be a day such as 2027-06-17.")
        return found

    return Parameter(name, description, {"type": "string", "format": "date"}, read)


def phone(name: str, description: str) -> Parameter:
    """A phone number of any format, in E.164."""

    def read(given: str, request: Request) -> str:
        try:
            # A plus that nobody escaped arrives as a blank.
            number = f"+{given[1:]}" if given.startswith(" ") else given
            return parse_number(number, caller_of(request).account.default_country)
        except RefusedNumber as error:
            raise ValidationError("This is not a phone number.", problem="NOT_A_NUMBER") from error

    return Parameter(name, description, TEXT, read)


def page_limit(highest: int, default: int) -> Parameter:
    return whole("limit", 1, highest, "Rows of a page.", default)


CREATED = (
    moment("created_after", "From then on, with zone: `2027-06-17T18:00:00Z`."),
    moment("created_before", "Before then, with zone."),
)
CURSOR = Parameter(
    "cursor", "From the `next` of the page before; good for this list only.", TEXT, lambda _, request: unsealed(request)
)
PAGE = (CURSOR, page_limit(200, 50))


def declared_by(view: Any, method: str) -> Sequence[Parameter]:
    """The parameters of a view's action, or of its method."""
    handler = getattr(view, "action", None) or ("get" if method == "HEAD" else method.lower())
    declared: Mapping[str, Sequence[Parameter]] = getattr(view, "parameters", {})
    return declared.get(handler, ())


def read_query(request: Request, parameters: Iterable[Parameter]) -> dict[str, Any]:
    """The value of each parameter by name, or its default. Raises ValidationError, which names all that is wrong."""
    problems = Problems()
    values = {}
    known = {parameter.name: parameter for parameter in parameters}
    for name, given in request.query_params.lists():
        if name not in known:
            place = name or NAMELESS
            problems.add(ValidationError("This parameter is not known.", place, given[-1], problem="UNKNOWN"))
        elif len(given) > 1:
            problems.add(ValidationError("This parameter is given twice.", name, given[-1]))
    for name, parameter in known.items():
        found = request.query_params.get(name)
        values[name] = parameter.default if found is None else problems.check(_value, parameter, found, request)
    problems.refuse()
    return values


def query_of(request: Request) -> dict[str, Any]:
    """What `read_query` made of the parameters of a view with an account."""
    values: dict[str, Any] = request.query  # type: ignore[attr-defined]
    return values


def in_time(rows: QuerySet[Row], request: Request, column: str = "created_at") -> QuerySet[Row]:
    """Rows of `created_after` (inclusive) to `created_before` (exclusive), as far as they are asked for."""
    query = query_of(request)
    if query["created_after"] is not None:
        rows = rows.filter(**{f"{column}__gte": query["created_after"]})
    if query["created_before"] is not None:
        rows = rows.filter(**{f"{column}__lt": query["created_before"]})
    return rows


def _value(parameter: Parameter, given: str, request: Request) -> Any:
    try:
        if not given:
            raise ValidationError("Give a value, or leave the parameter out.", problem="BLANK")
        return parameter.read(given, request)
    except ValidationError as error:
        error.details |= {"field": parameter.name, "value": shown(given)}
        raise
