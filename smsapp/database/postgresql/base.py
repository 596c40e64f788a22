"""PostgreSQL with an end to every wait for an answer.

A time limit of the server ends its own work. It does not help a client whose server, or whose way to it, has fallen
silent: TCP notices what is not acknowledged (tcp_user_timeout, keepalives), but a proxy, or a server that stands still,
acknowledges and does not answer. So the client counts for itself.
"""

from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import psycopg
from django.db.backends.postgresql import base


class Connection(psycopg.Connection[Any]):
    """`answer_within`: seconds for one answer of the server, after which the connection is given up; None: for ever."""

    answer_within: float | None = None

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """psycopg's, for every exchange. Raises OperationalError once the time is over."""
        if kwargs.get("timeout") is not None:
            return super().wait(gen, *args, **kwargs)
        try:
            return super().wait(gen, *args, **kwargs | {"timeout": self.answer_within})
        except psycopg.errors._WaitTimeout as error:
            self.close()  # its answer may still come, and would be taken for that to the next statement
            raise psycopg.OperationalError(f"the database did not answer within {self.answer_within:g} s") from error


class DatabaseWrapper(base.DatabaseWrapper):
    """OPTIONS["answer_within"]: see Connection."""

    Database = SimpleNamespace(**vars(psycopg) | {"connect": Connection.connect})  # type: ignore[assignment]

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        params.pop("answer_within", None)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        connection.answer_within = self.settings_dict["OPTIONS"].get("answer_within")
        return connection
