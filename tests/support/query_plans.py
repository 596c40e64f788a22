"""How PostgreSQL carries out each statement of a task, over as many rows as a test wants."""

from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection
from django.db.models import Model


def copies(row: Model, count: int, **changed: str) -> None:
    """Insert so many copies of a row, with some columns as expressions over `n`."""
    table, columns = row._meta.db_table, [field.column for field in row._meta.concrete_fields]
    values = ", ".join(changed.get(column, f't."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} t, generate_series(1, %s) n WHERE t.id = %s",
            [count, row.pk],
        )


class Plans:
    """The statements of a task, each explained as it is executed."""

    def __init__(self, most_read: int) -> None:
        self.most_read = most_read
        self.too_much: list[str] = []
        self.statements = 0

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not many and sql.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            self.statements += 1
            with connection.connection.cursor() as cursor:
                cursor.execute("SAVEPOINT explained")
                cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params)
                (plan,) = cursor.fetchone()[0]
                cursor.execute("ROLLBACK TO SAVEPOINT explained")
            self.too_much += [f"{what}\n    {sql[:1500]}" for what in self._much_read(plan["Plan"])]
        return execute(sql, params, many, context)

    def _much_read(self, node: dict[str, Any]) -> Iterator[str]:
        removed = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
        read = (node.get("Actual Rows", 0) + removed) * node.get("Actual Loops", 1)
        if "Relation Name" in node and node["Node Type"] != "ModifyTable" and read > self.most_read:
            yield f"{node['Node Type']} of {node['Relation Name']} by {node.get('Index Name')} reads {read:.0f} rows"
        for inner in node.get("Plans", ()):
            yield from self._much_read(inner)
