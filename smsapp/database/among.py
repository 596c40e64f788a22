"""`pk__among=keys`: what `pk__in` finds, with all keys in one parameter.

Of a list, each key is a parameter of its own that Django prepares, psycopg writes and the server reads: for a thousand
keys that costs more than to look them up. Only for whole numbers.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import IntegerField, Lookup
from django.db.models.sql.compiler import SQLCompiler


@IntegerField.register_lookup
class Among(Lookup):
    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[str | int, ...]]:
        column, values = self.process_lhs(compiler, connection)
        return f"{column} IN (SELECT value FROM json_each(%s))", (*values, f"[{self._keys}]")  # noqa: S608

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, tuple[str | int, ...]]:
        column, values = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s::bigint[])", (*values, f"{{{self._keys}}}")

    @property
    def _keys(self) -> str:
        return ",".join([f"{key:d}" for key in self.rhs])
