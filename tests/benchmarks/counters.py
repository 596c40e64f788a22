"""What the servers count themselves: broker messages, and updates that touched no index."""

from dataclasses import dataclass

from smsapp.queues import QUEUES
from tests.benchmarks.stand import Stand

PUBLICATIONS = "cmdstat_lpush"  # Celery puts a task into its queue by LPUSH, and does nothing else by it
FLUSHED_WITHIN = 12.0  # seconds after which an idle PostgreSQL process has told what it did


@dataclass(frozen=True)
class Updates:
    """Of the message table, since the database was made."""

    count: int
    hot: int

    @property
    def hot_share(self) -> float:
        return self.hot / self.count if self.count else 0.0


def broker_messages(stand: Stand) -> int:
    """Tasks put into the broker so far, those of beat among them."""
    with stand.redis() as client:
        return int(client.info("commandstats").get(PUBLICATIONS, {}).get("calls", 0))


def is_idle(stand: Stand) -> bool:
    """No task waits in the broker, and none is under way."""
    with stand.redis() as client:
        tasks = sum(client.llen(f"{stand.own.name}:{queue}") for queue in QUEUES)
        return not tasks and not client.hlen(f"{stand.own.name}:unacked")


def updates(stand: Stand, expected: int) -> Updates:
    """When so many are counted, or nothing more can be on its way."""
    found = Updates(0, 0)

    def is_counted() -> bool:
        nonlocal found
        with stand.connect() as connection:
            wanted = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'messaging_message'"
            found = Updates(*connection.execute(wanted).fetchone())
        return found.count >= expected

    stand.wait(is_counted, FLUSHED_WITHIN)
    return found
