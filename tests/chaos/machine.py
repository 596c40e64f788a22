"""The stand as a machine whose disks are put back to an earlier state: database, `VAR_DIR` and the broker's data, with
every witness of ours. The provider is elsewhere: it runs on and keeps its ledger.
"""

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from messaging.choices import GatewayKind
from smsapp.demo.scratch import NOTE, Scratch
from smsapp.runtime import programs
from smsapp.runtime.supervisor import Program, Supervisor
from tests.chaos.kills import is_alive, processes_of, signal_all
from tests.chaos.patience import wait_until
from tests.chaos.stand import Stand

STOPPED_AFTER = 10.0  # seconds, as are all times here; twice as long as the time between two signs of life
#: More than the machine stands still for: at the start the provider's log lacks what was sent last.
LOG_LAG = 12.0
TIMERS = {
    "LOG_LAG": f"{LOG_LAG + 1:g}",
    "RELEASE_LOOKUPS_PER_MINUTE": "6000",
    "REPORT_DEADLINE_HOURS": f"{60 / 3600:.8f}",
    "RESEND_UNKNOWN_AFTER": f"{LOG_LAG + 2:g}",
    "SIMULATOR_LOG_LAG": f"{LOG_LAG + 1:g}",
    "SIMULATOR_RESEND_UNKNOWN_AFTER": f"{LOG_LAG + 2:g}",
    "SIMULATOR_UNKNOWN_GRACE": f"{LOG_LAG + 1:g}",
    "STOPPED_AFTER": f"{STOPPED_AFTER:g}",
    "UNKNOWN_CLOSE_AFTER": "600",  # as far as the log is taken to reach
    "UNKNOWN_GRACE": f"{LOG_LAG + 1:g}",
}
PROVIDER, SERVER = "simulator", "postgres"
NOT_OF_THE_MACHINE = ("ledger.jsonl", "logs", "lock", "kept", NOTE)  # the provider's, and the harness' own
ENDS_WITHIN = 10.0


class Machine(Stand):
    """`home`: an empty folder outside of the machine, in which its database server's data are, if it has one."""

    silent = 0.0  # of each message a report comes, once: one that is missing was forgotten

    def __init__(self, supervisor: Supervisor, own: Scratch, home: Path, call_size: int) -> None:
        super().__init__(supervisor, own, timers=TIMERS, call_size=call_size)
        self._server = supervisor.children[SERVER].program if self._has_own_server else None
        self._disks = {own.folder: home / "snapshot"}
        if self._server:
            self._disks[home / "data"] = home / "snapshot-data"

    def start(self) -> None:
        if self._server and not self._has_own_server:
            self.supervisor.start_ready(self._server)
        super().start()

    def make_roads(self) -> None:
        """Its provider's alone: of one without a log an operator has to answer for what it got."""
        self.make_road(GatewayKind.INFOBIP, max_batch=self.call_size)

    def take_snapshot(self) -> None:
        """As a hypervisor does: of all disks at one moment, whatever is being written."""
        with self._standing_still():
            for disk, snapshot in self._disks.items():
                snapshot.mkdir()
                _copy([entry for entry in disk.iterdir() if entry.name not in NOT_OF_THE_MACHINE], snapshot)

    def pull_plug(self) -> int:
        """End everything at once; how many processes that were."""
        with self._standing_still() as processes:
            signal_all(processes, signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in processes), ENDS_WITHIN)
        self.supervisor.stop(*self._programs)
        return len(processes)

    def put_back(self) -> None:
        """While it does not run. Files are the same ones as before: on a disk that was put back they are."""
        for disk, snapshot in self._disks.items():
            for entry in disk.iterdir():
                if entry.name in NOT_OF_THE_MACHINE:
                    continue
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif not (snapshot / entry.name).exists():
                    entry.unlink()
            _copy(snapshot.iterdir(), disk)

    def release(self) -> None:
        """By an operator at the shell; raises ProcessError if it is refused."""
        environment = self._environment()
        self.supervisor.finish(self.supervisor.start(programs.manage("release", environment, "release")), 120)

    @property
    def accepted(self) -> int:
        """Messages that the provider has taken; one that it took again counts twice."""
        figures = self._ask_simulator("GET", "ledger")
        return int(figures["accepted"] + figures["duplicates"])

    @property
    def _programs(self) -> list[str]:
        return [name for name in self.supervisor.children if name != PROVIDER]

    @contextlib.contextmanager
    def _standing_still(self) -> Iterator[set[int]]:
        """Inside, no process of the machine runs."""
        still: set[int] = set()
        while fresh := self._processes() - still:  # those that were being started meanwhile
            signal_all(fresh, signal.SIGSTOP)
            still |= fresh
        try:
            yield still
        finally:
            signal_all(still, signal.SIGCONT)

    def _processes(self) -> set[int]:
        return {pid for name in self._programs for pid in processes_of(self.supervisor.children[name])}

    def _foundations(self, env: programs.Environment) -> list[Program]:
        """Without the provider, if it runs already."""
        return [program for program in super()._foundations(env) if program.name not in self.supervisor.children]


def _copy(entries: Iterable[Path], target: Path) -> None:
    """With owners and modes; a file that is there already is written anew and stays the same one."""
    subprocess.run(["cp", "--archive", "--", *map(str, entries), str(target)], check=True)
