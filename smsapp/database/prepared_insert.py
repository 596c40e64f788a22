"""Inserting rows whose INSERT is nearly made: for what every send of the API stores, where Django's making of the
statement costs several times what the database takes to carry it out."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Field, Model

Row = TypeVar("Row", bound=Model)
Read = Callable[[Any], Any]

#: What the driver takes as it is, by the kind of column.
_PLAIN: dict[str, type[Any]] = {
    "BigIntegerField": int,
    "BooleanField": bool,
    "CharField": str,
    "ForeignKey": int,
    "IntegerField": int,
    "PositiveBigIntegerField": int,
    "PositiveIntegerField": int,
    "PositiveSmallIntegerField": int,
    "SmallIntegerField": int,
    "TextField": str,
}


class Inserts(Generic[Row]):
    """Of one model, whose primary key the database gives. Sends no signals, and asks no field whether it is valid."""

    def __init__(self, model: type[Row]) -> None:
        self._model = model
        self._made: dict[str, tuple[str, str, list[Read]]] = {}

    def __call__(self, rows: Sequence[Row]) -> None:
        """Store new rows by one statement; each has its key afterwards."""
        if not rows:
            return
        into, end, readers = self._ready()
        placeholders: list[str] = []
        values: list[Any] = []
        for row in rows:
            placeholders.append(", ".join(_placeholder(read(row), values) for read in readers))
        with connection.cursor() as cursor:
            cursor.execute(f"{into} ({'), ('.join(placeholders)}) {end}", values)
            keys = cursor.fetchall()
        for row, (key,) in zip(rows, keys, strict=True):
            row.pk = key
            row._state.adding, row._state.db = False, connection.alias

    def _ready(self) -> tuple[str, str, list[Read]]:
        if (made := self._made.get(connection.vendor)) is None:
            meta, quote = self._model._meta, connection.ops.quote_name
            fields = [field for field in meta.local_concrete_fields if not field.primary_key]
            columns = ", ".join(quote(str(field.column)) for field in fields)
            into = f"INSERT INTO {quote(meta.db_table)} ({columns}) VALUES"
            end = f"RETURNING {quote(str(meta.pk.column))}"
            made = self._made[connection.vendor] = into, end, [_reader(field) for field in fields]
        return made


def _placeholder(value: Any, values: list[Any]) -> str:
    """Most columns of a new row hold nothing yet. To write that out is cheaper than to hand it over as a parameter."""
    if value is None:
        return "NULL"
    if value == "" and type(value) is str:
        return "''"
    if value == 0 and type(value) is int:
        return "0"
    values.append(value)
    return "%s"


def _reader(field: "Field[Any, Any]") -> Read:
    """The value of a row as the driver takes it."""
    name, plain = field.attname, _PLAIN.get(field.get_internal_type())
    takes_datetime = connection.vendor == "postgresql"
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return lambda row: field.get_db_prep_save(field.pre_save(row, add=True), connection)

    def read(row: Any) -> Any:
        value = getattr(row, name)
        kind = type(value)
        if value is None or kind is plain or (takes_datetime and kind is datetime):
            return value
        return field.get_db_prep_save(value, connection)

    return read
