"""`pk__among=keys`: what `pk__in` finds, with all keys in one parameter.

Of a list, each key is a parameter of its own that Django prepares, psycopg writes and the server reads: for a thousand
keys that costs more than to look them up. Only for whole numbers.
"""

from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import IntegerField, Lookup
from django.db.models.sql.compiler import SQLCompiler

from smsapp.database.prepared_query import Slot


@IntegerField.register_lookup
class Among(Lookup):
    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, values = self.process_lhs(compiler, connection)
        return f"{column} IN (SELECT value FROM json_each(%s))", (*values, self._keys(connection))  # noqa: S608

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        column, values = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s::bigint[])", (*values, self._keys(connection))

    def _keys(self, connection: BaseDatabaseWrapper) -> Any:
        """In one text; a slot of a compiled query as it is."""
        return self.rhs if isinstance(self.rhs, Slot) else keys_of(self.rhs, connection.vendor)


def keys_of(keys: Iterable[int], vendor: str) -> str:
    """Return keys as the parameter of this lookup: what a compiled query is given for its slot."""
    listed = ",".join([f"{key:d}" for key in keys])
    return f"{{{listed}}}" if vendor == "postgresql" else f"[{listed}]"
