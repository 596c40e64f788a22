"""The whole path beside the raw limit and the ordinary design, in turn on one machine.

A ratio is taken within a round, and the median of the rounds is told: other work on the machine moves absolute times by
a third, ratios less, and processor time least.
"""

from dataclasses import dataclass
from statistics import median

from tests.benchmarks import everyday
from tests.benchmarks.counters import Updates, broker_messages, updates
from tests.benchmarks.everyday import Ordinary
from tests.benchmarks.figures import Figure
from tests.benchmarks.path import Journey, Phase
from tests.benchmarks.raw import Limit, RawLimit
from tests.benchmarks.stand import Stand

PART = "path"
WORDS = {
    "read": ("file read, to ready", "rows/s"),
    "store": ("stored as messages", "messages/s"),
    "accept": ("stored to accepted", "messages/s"),
    "report": ("reports to applied", "messages/s"),
    "path": ("whole path", "messages/s"),
}
STEPS = {
    "copy": "COPY",
    "http": "HTTP",
    "accepted": "UPDATE accepted",
    "delivered": "UPDATE delivered",
    "http_to_simulator": "HTTP to simulator",
}


@dataclass(frozen=True)
class Round:
    """`broker_messages`: put into the broker during the whole path."""

    phases: dict[str, Phase]
    limit: Limit
    broker_messages: int

    @property
    def import_per_s(self) -> float:
        """Rows of the file, through both phases that make messages of them."""
        return self.phases["read"].count / (self.phases["read"].seconds + self.phases["store"].seconds)

    @property
    def path_vs_raw(self) -> float:
        return self.phases["path"].per_second / self.limit.per_second

    @property
    def path_vs_raw_with_simulator(self) -> float:
        """Beside a raw limit whose bodies go to a simulator, as the product's do."""
        return self.phases["path"].per_second / self.limit.per_second_with_simulator


@dataclass(frozen=True)
class PathResult:
    rounds: list[Round]
    ordinary: Ordinary
    updates: Updates
    messages: int

    def per_second(self, phase: str) -> float:
        return median(each.phases[phase].per_second for each in self.rounds)

    def cpu_us(self, phase: str) -> float:
        return median(each.phases[phase].product_cpu_us for each in self.rounds)

    @property
    def line(self) -> dict[str, float]:
        """Names of the JSON line of `make bench`."""
        path = self.per_second("path")
        return {
            "import_per_s": median(each.import_per_s for each in self.rounds),
            "accepted_per_s": self.per_second("accept"),
            "reports_per_s": self.per_second("report"),
            "path_per_s": path,
            "raw_per_s": median(each.limit.per_second for each in self.rounds),
            "path_vs_raw": median(each.path_vs_raw for each in self.rounds),
            "path_vs_raw_with_simulator": median(each.path_vs_raw_with_simulator for each in self.rounds),
            "path_vs_per_message": path / self.ordinary.path,
            "cpu_us_per_message": self.cpu_us("path"),
        }

    def figures(self) -> list[Figure]:
        return [*self._speeds(), *self._limits(), *self._ratios(), *self._costs(), *self._programs(), *self._counts()]

    def _speeds(self) -> list[Figure]:
        return [
            *(Figure(PART, name, self.per_second(phase), unit) for phase, (name, unit) in WORDS.items()),
            Figure(PART, "file to messages", self.line["import_per_s"], "rows/s"),
            Figure(PART, "ordinary design: whole path", self.ordinary.path, "messages/s"),
            Figure(PART, "ordinary design: file by bulk_create", self.ordinary.import_rows, "rows/s"),
            Figure(PART, "ordinary design: reports one by one", self.ordinary.reports_alone, "messages/s"),
        ]

    def _ratios(self) -> list[Figure]:
        line, ordinary = self.line, self.ordinary
        read, stored = self.per_second("read"), line["import_per_s"]
        return [
            Figure(PART, "whole path / raw limit", line["path_vs_raw"], "×", at_least=0.5),
            Figure(PART, "whole path / raw limit with simulator", line["path_vs_raw_with_simulator"], "×"),
            Figure(PART, "whole path / ordinary design", line["path_vs_per_message"], "×", at_least=300),
            Figure(PART, "file to ready / bulk_create", read / ordinary.import_rows, "×"),
            Figure(PART, "file to messages / bulk_create", stored / ordinary.import_rows, "×", at_least=10),
            Figure(PART, "reports / one by one", line["reports_per_s"] / ordinary.reports_alone, "×", at_least=80),
        ]

    def _costs(self) -> list[Figure]:
        return [
            *(Figure(PART, f"CPU: {name}", self.cpu_us(phase), "µs") for phase, (name, _) in WORDS.items()),
            Figure(PART, "CPU: raw limit", median(each.limit.cpu_us for each in self.rounds), "µs"),
            Figure(PART, "CPU: ordinary design", self.ordinary.cpu_us, "µs"),
            Figure(PART, "CPU of a message, all programs", self.line["cpu_us_per_message"], "µs", at_most=40),
        ]

    def _counts(self) -> list[Figure]:
        per_broker_message = median(each.phases["path"].count / max(each.broker_messages, 1) for each in self.rounds)
        return [
            Figure(PART, "HOT share of message updates", 100 * self.updates.hot_share, "%", at_least=100),
            Figure(PART, "updates of a message", self.updates.count / self.messages),
            Figure(PART, "SMS for each broker message", per_broker_message, at_least=500),
        ]

    def _limits(self) -> list[Figure]:
        each = {
            name: median(one.limit.count / getattr(one.limit, step) for one in self.rounds)
            for step, name in STEPS.items()
        }
        total = {
            "sum": median(one.limit.per_second for one in self.rounds),
            "sum with simulator": median(one.limit.per_second_with_simulator for one in self.rounds),
        }
        return [Figure(PART, f"raw limit: {name}", value, "messages/s") for name, value in (each | total).items()]

    def _programs(self) -> list[Figure]:
        """Of the whole path, the provider among them, who is not in the sum."""
        costs = [each.phases["path"].cpu_us for each in self.rounds]
        names = sorted({name for cost in costs for name in cost if name not in ("stub", "provider")})
        return [Figure(PART, f"CPU in {name}", median(cost.get(name, 0.0) for cost in costs), "µs") for name in names]


def measure(stand: Stand) -> PathResult:
    rounds: list[Round] = []
    journeys: list[Journey] = []
    for number in range(stand.options.rounds):
        journey = Journey(stand, stand.options.rows).in_phases()
        before = broker_messages(stand)
        whole = Journey(stand, stand.options.rows).as_a_whole()
        published = broker_messages(stand) - before
        limit = RawLimit(stand, whole, f"r{number}").measure()
        rounds.append(Round(journey.phases | whole.phases, limit, published))
        journeys += [journey, whole]
    ordinary = everyday.measure(stand)
    messages = sum(journey.messages for journey in journeys)
    once = sum(journey.campaign.rejected for journey in journeys)  # has come to its end when it is refused
    return PathResult(rounds, ordinary, updates(stand, 2 * messages - once), messages)
