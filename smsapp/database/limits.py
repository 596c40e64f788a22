"""How long each kind of process waits for PostgreSQL: to connect, for an acknowledgement, for an answer."""

from enum import StrEnum
from pathlib import Path
from typing import Any

CONNECT_WITHIN = 5  # seconds, for each address of the server
ACKNOWLEDGED_WITHIN = 10  # seconds, for what was sent on a connection
QUIET_FOR = 10  # seconds without a byte, after which the other side is asked whether it is still there
ASK_EVERY, ASK_TIMES = 5, 3  # seconds; silence after so many questions is the end of the connection
LOCK_WITHIN = 10.0  # seconds
IDLE_WITHIN = 30  # seconds inside a transaction
ANSWER_LATER = 5.0  # seconds that an answer may come after the server's own limit, before the client gives up


class Kind(StrEnum):
    """Of process: how long it may work on one statement or transaction depends on it."""

    WEB = "web"
    WORKER = "worker"  # beat as well
    COMMAND = "command"  # of manage.py, and whatever else imports the settings


def kind_of(program: str) -> Kind:
    """`program`: as in sys.argv[0]."""
    path = Path(program)
    name = path.parent.name if path.name == "__main__.py" else path.name
    return {"gunicorn": Kind.WEB, "celery": Kind.WORKER}.get(name, Kind.COMMAND)


def time_limits(statement: float, *, at_start: bool) -> dict[str, Any]:
    """OPTIONS of the database for statements of so many seconds; 0: no limit, neither at the server nor here.

    `at_start`: ask the server for its part when a connection begins. A pooler in transaction mode takes no such
    options: there the roles of the database have them.
    """
    limits: dict[str, Any] = {
        "connect_timeout": CONNECT_WITHIN,
        "tcp_user_timeout": 1000 * ACKNOWLEDGED_WITHIN,
        "keepalives": 1,
        "keepalives_idle": QUIET_FOR,
        "keepalives_interval": ASK_EVERY,
        "keepalives_count": ASK_TIMES,
        "answer_within": statement + ANSWER_LATER if statement else None,
    }
    if at_start:
        # A lock that takes too long is told apart from work that does, so its limit comes first.
        lock = min(LOCK_WITHIN, 0.8 * statement or LOCK_WITHIN)
        limits["options"] = (
            f"-c statement_timeout={_ms(statement)} -c lock_timeout={_ms(lock)} "
            f"-c idle_in_transaction_session_timeout={IDLE_WITHIN}s"
        )
    return limits


def _ms(seconds: float) -> str:
    return f"{round(1000 * seconds)}ms"
