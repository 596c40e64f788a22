"""Queries that Django makes into SQL once: for the few that every call of the API asks, where making the SQL costs
several times what the database takes to answer."""

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import QuerySet, Value
from django.db.models.sql.compiler import SQLCompiler


class Slot(Value):
    """Stands in a filter for a value that is given with each question. That value reaches the database as it is, so it
    has to be what the column holds: a number, a text."""

    def __init__(self, name: str) -> None:
        super().__init__(name)

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> Any:
        return "%s", [self]  # for Compiled to fill


class Compiled:
    """A `values_list` query; `make` gives it, with a Slot wherever a value is to come.

    Made on first use, since the SQL depends on the database, and once for each kind of database.
    """

    def __init__(self, make: Callable[[], QuerySet[Any, Any]]) -> None:
        self._make = make
        self._made: dict[str, tuple[str, list[Any], dict[int, Any]]] = {}

    def sql(self, **values: Any) -> tuple[str, list[Any]]:
        """The query and its parameters, to stand within another. Raises KeyError if a slot has no value."""
        sql, params, _ = self._ready()
        return sql, [values[one.value] if isinstance(one, Slot) else one for one in params]

    def _ready(self) -> tuple[str, list[Any], dict[int, Any]]:
        if (made := self._made.get(connection.vendor)) is None:
            made = self._made[connection.vendor] = _made(self._make().query.get_compiler(connection=connection))
        return made

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """`values` by the names of the slots. Raises KeyError if one is missing."""
        converters = self._ready()[2]
        with connection.cursor() as cursor:
            cursor.execute(*self.sql(**values))
            rows = cursor.fetchall()
        return [_converted(row, converters) for row in rows] if converters else rows

    def row(self, **values: Any) -> tuple[Any, ...] | None:
        """The first; None if there is none."""
        return next(iter(self.rows(**values)), None)


def _made(compiler: SQLCompiler) -> tuple[str, list[Any], dict[int, Any]]:
    sql, params = compiler.as_sql()
    return sql, list(params), compiler.get_converters([column for column, *_ in compiler.select])


def _converted(row: tuple[Any, ...], converters: dict[int, Any]) -> tuple[Any, ...]:
    """What a JSON column, or a time in SQLite, is in Python."""
    values = list(row)
    for index, (chain, expression) in converters.items():
        for convert in chain:
            values[index] = convert(values[index], expression, connection)
    return tuple(values)
