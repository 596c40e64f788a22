"""The platform under a supervisor that is killed as well: `manage.py run`, a child of the harness. SUPERVISOR=1 asks
for it.

To the rest of the harness the programs look as if they were its own children; what dies is brought back by `run`, and
`run` itself by the harness.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smsapp.runtime import programs
from smsapp.runtime.supervisor import NAME_MARK, Child, ProcessError, Program, Supervisor
from tests.chaos.kills import is_alive, processes_of
from tests.chaos.patience import wait_until
from tests.chaos.plan import Event, Target
from tests.chaos.roads import TwoRoads
from tests.chaos.stand import Stand

RUN = "run"
ENDS_WITHIN = 10.0  # seconds: all that a killed supervisor leaves
STARTS_WITHIN = 90.0  # seconds of a busy machine, from the kill until the web server answers again
FIRST_TO_GO = ("beat", "web", "worker")  # killed just before their supervisor at every second blow


@dataclass(frozen=True)
class Grandchild:
    """A program of `run`, as far as the harness asks a Child."""

    pid: int
    program: Program

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


class Household(Mapping[str, Any]):
    """Every program by name, whoever runs it; one that is being brought back is waited for."""

    def __init__(self, outer: Supervisor) -> None:
        self._outer = outer

    def __getitem__(self, name: str) -> "Child | Grandchild":
        if name in self._outer.children:
            return self._outer.children[name]
        found: dict[str, Grandchild] = {}

        def is_there() -> bool:
            self._outer.watch()
            found.update(self._grandchildren())
            return name in found

        if not wait_until(is_there, STARTS_WITHIN):
            raise ProcessError(f"{name} was not there within {STARTS_WITHIN:g} s.")
        return found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._outer.children or name in self._grandchildren()

    def __iter__(self) -> Iterator[str]:
        return iter([*self._outer.children, *self._grandchildren()])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _grandchildren(self) -> dict[str, Grandchild]:
        run = self._outer.children.get(RUN)
        if run is None:
            return {}
        with contextlib.suppress(OSError):
            pids = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
            named = ((_name_of(int(pid)), int(pid)) for pid in pids if is_alive(int(pid)))
            return {name: Grandchild(pid, Program(name, [])) for name, pid in named if name}
        return {}


class Inner:
    """In the place of the harness' supervisor."""

    def __init__(self, outer: Supervisor) -> None:
        self.outer, self.children = outer, Household(outer)

    def watch(self) -> None:
        self.outer.watch()

    def start(self, program: Program) -> Child:
        return self.outer.start(program)

    def stop(self, *names: str) -> None:
        """`run` stops its own."""
        own = [name for name in names if name in self.outer.children]
        self.outer.stop(*(own or names), *({RUN} - set(own) if set(names) - set(own) else ()))


class UnderRun(Stand):
    def __init__(self, supervisor: Supervisor, *args: Any, **options: Any) -> None:
        super().__init__(supervisor, *args, **options)
        self.outer = supervisor
        self.supervisor = Inner(supervisor)  # type: ignore[assignment]

    @property
    def targets(self) -> set[Target]:
        return super().targets | {Target.SUPERVISOR}

    def kill_supervisor(self, event: Event) -> str:
        """Kill `run`; nothing may outlive it, and the next one must come up. Raises ProcessError if not."""
        child = self.outer.children[RUN]
        family = processes_of(child)
        before = FIRST_TO_GO if event.pick > 0.5 else ()
        for name in before:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.supervisor.children[name].pid, signal.SIGKILL)
        os.kill(child.pid, signal.SIGKILL)
        if not wait_until(lambda: not any(is_alive(pid) for pid in family), ENDS_WITHIN):
            left = sorted(pid for pid in family if is_alive(pid))
            raise ProcessError(f"The processes {left} outlived their supervisor by {ENDS_WITHIN:g} s.")
        killed_at = time.monotonic()
        if not wait_until(self._is_up, STARTS_WITHIN):
            raise ProcessError(f"`run` did not come up again within {STARTS_WITHIN:g} s.\n{self._last_words()}")
        return f"killed with {len(family) - 1} processes{' after ' * bool(before)}{', '.join(before)}, back after " + (
            f"{time.monotonic() - killed_at:.1f} s"
        )

    def _is_up(self) -> bool:
        self.outer.watch()
        return programs.answers(f"{self.url}/health")

    def _last_words(self) -> str:
        return "\n".join(self.outer.children[RUN].tail) if RUN in self.outer.children else ""

    def _start(self) -> None:
        env = self._environment()
        started = [program for program in self._foundations(env) if program.name != "broker"]
        if not self.own.redis_url:  # `run` brings its own
            env |= {"REDIS_URL": "", "CELERY_BROKER_URL": "", "EMBEDDED_BROKER_PORT": str(self.broker_port)}
        command = [sys.executable, "manage.py", "run"]
        started.append(
            Program(RUN, command, env, ready=self._is_up, ready_within=STARTS_WITHIN, restart=True, cwd=programs.ROOT)
        )
        self.outer.start_ready(*started)


class RoadsUnderRun(UnderRun, TwoRoads):
    pass


def _name_of(pid: int) -> str:
    """As its supervisor calls it. The broker writes over its environment."""
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0"):
            if entry.startswith(f"{NAME_MARK}="):
                return entry.partition("=")[2]
        if "valkey" in Path(f"/proc/{pid}/cmdline").read_text():
            return "broker"
    return ""
