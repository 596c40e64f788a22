"""Upkeep: charging single sends, and removing what is old faster than it is written."""

from dataclasses import dataclass
from typing import Any

from tests.benchmarks.figures import Figure
from tests.benchmarks.stand import Stand

PART = "upkeep"
DATABASE = "upkeep"


@dataclass(frozen=True)
class Upkeep:
    said: dict[str, Any]

    def figures(self) -> list[Figure]:
        credit, purges = self.said["credit"], self.said["purges"]
        found = [
            Figure(PART, "single sends charged", credit["settled"] / credit["seconds"], "/s", at_least=5000),
            Figure(PART, "accounts whose books disagree", len(credit["wrong"]), at_most=0),
        ]
        for task, rates in purges.items():
            found.append(Figure(PART, f"{task}: removed", rates["removed"], "rows/s"))
            found.append(Figure(PART, f"{task}: times written", rates["removed"] / rates["filled"], "×", at_least=10))
        return found


def measure(stand: Stand) -> Upkeep:
    own = {"DATABASE_URL": stand.make_database(DATABASE), "VAR_DIR": str(stand.own.folder.resolve() / DATABASE)}
    env = own | {"REDIS_URL": stand.redis_url, "REDIS_KEY_PREFIX": DATABASE}
    rows = stand.options.rows
    said = stand.run("tests.benchmarks.upkeep_run", str(max(1, rows // 5)), str(max(1, rows // 5)), **env)
    stand.drop_database(DATABASE)
    return Upkeep(said)
