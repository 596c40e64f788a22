"""What the screens ask the database while it holds a hundredth of the messages, and all of them.

Customers' and operators' pages are fetched through Django's own client, and every query is timed where Django sends it:
its median over REPEATED fetches. Runs in a process and a database of its own (`screens.py`).
"""

from dataclasses import dataclass
from typing import Any

from smsapp.demo.display import say
from tests.benchmarks.figures import Figure
from tests.benchmarks.stand import Stand

PART = "dashboard"
OVERVIEW = "overview"  # of the pages that `screens.py` fetches
DATABASE = "dashboard"
SHOWN = 300  # characters of a statement


@dataclass(frozen=True)
class Page:
    """Milliseconds, of all its queries and of the slowest, which is `statement`; how many there are; `server`: of the
    whole answer, in Django's own client."""

    name: str
    total: float
    slowest: float
    statement: str
    queries: int
    server: float


@dataclass(frozen=True)
class Dashboard:
    """Pages by how many messages there were, few and many."""

    messages: tuple[int, int]
    few: list[Page]
    many: list[Page]

    @property
    def worst(self) -> Page:
        """Of many messages, the page with the slowest query."""
        return max(self.many, key=lambda page: page.slowest)

    @property
    def overview(self) -> Page:
        return next(page for page in self.many if page.name == OVERVIEW)

    def figures(self) -> list[Figure]:
        few, many = (f"{count:,} messages" for count in self.messages)
        found = [Figure(PART, f"{page.name}: {page.queries} queries", page.total, "ms") for page in self.many]
        growth = sum(page.total for page in self.many) / sum(page.total for page in self.few)
        more = sum(page.queries for page in self.many) - sum(page.queries for page in self.few)
        return [
            *found,
            Figure(PART, f"slowest query (of {self.worst.name})", self.worst.slowest, "ms", at_most=1),
            Figure(PART, f"time of queries at {many} / at {few}", growth, "×", at_most=1.2),
            Figure(PART, f"queries more at {many}", more, "", at_most=0),
            Figure(PART, f"overview: server time at {many}", self.overview.server, "ms", at_most=150),
        ]


def measure(stand: Stand) -> Dashboard:
    own = {"DATABASE_URL": stand.make_database(DATABASE), "VAR_DIR": str(stand.own.folder.resolve() / DATABASE)}
    env = own | {"REDIS_URL": stand.redis_url, "REDIS_KEY_PREFIX": DATABASE}
    said = stand.run("tests.benchmarks.screens", str(stand.options.dashboard_rows), **env)
    stand.drop_database(DATABASE)
    few, many = said["counts"]
    found = Dashboard((few, many), _pages(said["few"]), _pages(said["many"]))
    say(f"Slowest query: {found.worst.statement[:SHOWN]} ...")
    return found


def _pages(said: list[dict[str, Any]]) -> list[Page]:
    return [Page(**page) for page in said]
