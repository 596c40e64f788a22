"""`pk__within=[(first, last), …]`: rows in any of some ranges, ends included, written as one condition.

Of as many conditions joined by OR, Django resolves, compiles and binds each: of fifty ranges that costs several times
what the database takes to read them. Only for whole numbers; no range finds nothing.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import IntegerField, Lookup
from django.db.models.sql.compiler import SQLCompiler


@IntegerField.register_lookup
class Within(Lookup):
    lookup_name = "within"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, values = self.process_lhs(compiler, connection)
        assert not values
        ranges = " OR ".join([f"{column} BETWEEN {first:d} AND {last:d}" for first, last in self.rhs])
        return f"({ranges or '1 = 0'})", ()
