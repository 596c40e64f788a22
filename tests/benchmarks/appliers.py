"""Delivery reports as they come, a hundred in a body or one: how fast waiting bodies are applied, by one worker and by
several. Each worker is a process that does what the task of a report worker does (`appliers_run.py`)."""

from dataclasses import dataclass

from tests.benchmarks.appliers_run import HUNDREDS
from tests.benchmarks.figures import Figure
from tests.benchmarks.stand import Stand

PART = "appliers"
DATABASE = "appliers"
SHARE = 10  # of ROWS, how many reports wait
AT_LEAST = 5000  # bodies of one, by several workers


@dataclass(frozen=True)
class Run:
    """`cpu_seconds` of the workers. `wrong`: where the counters, or the messages, are not what was reported."""

    kind: str
    workers: int
    bodies: int
    reports: int
    seconds: float
    cpu_seconds: float
    wrong: list[str]

    @property
    def per_second(self) -> float:
        return self.reports / self.seconds

    def figures(self) -> list[Figure]:
        name = f"{self.kind}, {self.workers} at work"
        has_goal = self.bodies == self.reports and self.workers > 1
        return [
            Figure(PART, f"{name}: reports", self.per_second, "/s", at_least=AT_LEAST if has_goal else None),
            Figure(PART, f"{name}: CPU of a report", 1_000_000 * self.cpu_seconds / self.reports, "µs"),
        ]


@dataclass(frozen=True)
class Appliers:
    runs: list[Run]

    def figures(self) -> list[Figure]:
        found = [figure for run in self.runs for figure in run.figures()]
        speed = {(run.kind, run.workers): run.per_second for run in self.runs}
        most = max(run.workers for run in self.runs)
        for kind in dict.fromkeys(run.kind for run in self.runs):
            if most > 1:
                found.append(Figure(PART, f"{kind}: {most} / 1 at work", speed[kind, most] / speed[kind, 1], "×"))
            if kind != HUNDREDS:
                found.append(Figure(PART, f"{kind} / {HUNDREDS}", speed[kind, most] / speed[HUNDREDS, most], "×"))
        return [*found, Figure(PART, "miscounted", sum(len(run.wrong) for run in self.runs), at_most=0)]


def measure(stand: Stand) -> Appliers:
    own = {"DATABASE_URL": stand.make_database(DATABASE), "VAR_DIR": str(stand.own.folder.resolve() / DATABASE)}
    env = own | {"REDIS_URL": stand.redis_url, "REDIS_KEY_PREFIX": DATABASE}
    reports, workers = max(1, stand.options.rows // SHARE), stand.options.workers
    said = stand.run("tests.benchmarks.appliers_run", str(reports), str(workers), **env)
    stand.drop_database(DATABASE)
    return Appliers([Run(**run) for run in said["runs"]])
