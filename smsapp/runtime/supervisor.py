"""A small supervisor: named child processes, started in order, watched, restarted, and stopped together.

Used by `manage.py run`, `manage.py demo`, the tests' own services and the chaos harness. On Linux no child outlives its
parent, even if that is killed with -9 (its children in turn: `lifeline.py`).
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Self

# Runs in the child before its program: another user if asked, then a signal at the parent's end (the kernel forgets
# that wish when the user changes, hence the order). Not preexec_fn: that is unsafe beside threads.
LAUNCHER = """
import ctypes, os, sys
parent, user, last_signal, *command = sys.argv[1:]
if user:
    import pwd
    entry = pwd.getpwnam(user)
    os.setgroups([]), os.setgid(entry.pw_gid), os.setuid(entry.pw_uid)
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(last_signal))
if os.getppid() != int(parent):
    sys.exit(1)
try:
    os.execvp(command[0], command)
except OSError as error:
    sys.exit(f"{command[0]}: {error.strerror}")
"""
NAME_MARK = "SMSAPP_PROGRAM"  # in the environment of each program: its name
PROBE_INTERVAL = 0.05  # seconds
WATCH_INTERVAL = 0.2
TAIL = 40  # last lines of output kept for a report on a child that failed
RESTART_WAIT = 1.0
RESTART_CAP = 10  # restarts of one program in RESTART_WINDOW seconds before it is given up
RESTART_WINDOW = 60.0
PROVEN_AFTER = 60.0  # seconds of life after which a program is never given up: it can run, so it is an outage
RESTART_PAUSE = 15.0  # seconds before such a program is started again instead
COLOURS = (36, 32, 33, 35, 34, 31, 96, 92, 93, 95)


class ProcessError(Exception):
    """A program did not start, was not ready in time, or ended when it should not. The text says which and why."""


class StopRequested(BaseException):
    """SIGTERM or SIGINT came."""


@dataclass(frozen=True)
class Program:
    """What to run.

    `ready` is called until it returns true; times in seconds. Of programs that stop together the highest `layer` goes
    first, so that workers find their broker to the end. `orphan_signal`: what the kernel sends it when its supervisor
    was killed: by default the one that nothing survives.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    ready: Callable[[], bool] | None = None
    ready_within: float = 30.0
    stop_within: float = 10.0
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    restart: bool = False
    layer: int = 0
    user: str = ""
    cwd: Path | None = None


Sink = Callable[[str, str], None]


def prefixed(stream: IO[str] | None = None) -> Sink:
    """Return a sink that writes `name | line`, in a colour for each name on a terminal."""
    out = stream or sys.stdout
    colours: dict[str, int] = {}
    lock = threading.Lock()

    def write(name: str, line: str) -> None:
        colour = COLOURS[colours.setdefault(name, len(colours)) % len(COLOURS)]
        label = f"\x1b[{colour}m{name:<13}|\x1b[0m" if out.isatty() else f"{name:<13}|"
        with lock, contextlib.suppress(BrokenPipeError):
            out.write(f"{label} {line}\n")
            out.flush()

    return write


def into_folder(folder: Path) -> Sink:
    """Return a sink that appends to `NAME.log` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = threading.Lock()

    def write(name: str, line: str) -> None:
        with lock, (folder / f"{name}.log").open("a") as file:
            file.write(f"{line}\n")

    return write


class Child:
    """One running program: the leader of a process group of its own."""

    def __init__(self, program: Program, sink: Sink) -> None:
        self.program = program
        self.tail: deque[str] = deque(maxlen=TAIL)
        self._sink = sink
        self._peaks: dict[int, int] = {}
        self._started = time.monotonic()
        launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(os.getpid()), program.user]
        self.process = subprocess.Popen(
            [*launcher, str(int(program.orphan_signal)), *program.command],
            env={**program.env, NAME_MARK: program.name},
            cwd=program.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"log of {program.name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        return self.process.poll()

    @property
    def age(self) -> float:
        """Return the seconds since it was started."""
        return time.monotonic() - self._started

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.tail.append(line.rstrip("\n"))
            self._sink(self.program.name, line.rstrip("\n"))

    def wait_ready(self) -> None:
        """Wait until it is ready. Raises ProcessError if it ends, or is not ready in time."""
        deadline = time.monotonic() + self.program.ready_within
        while self.program.ready is not None:
            if self.exit_code is not None:
                raise ProcessError(self.obituary())
            if self.program.ready():
                return
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.program.name} was not ready within {self.program.ready_within:g} s.")
            time.sleep(PROBE_INTERVAL)

    def wait(self, seconds: float) -> None:
        """Wait until it has ended with exit code 0. Raises ProcessError otherwise."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise ProcessError(f"{self.program.name} did not end within {seconds:g} s.") from error
        self.end()
        if self.exit_code != 0:
            raise ProcessError(self.obituary())

    def obituary(self) -> str:
        """Return how it ended, with its last lines."""
        self._reader.join(1)
        code = self.exit_code
        how = (
            f"was ended by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with code {code}"
        )
        return "\n".join([f"{self.program.name} {how}.", *(f"    {line}" for line in self.tail)])

    def ask_to_stop(self) -> None:
        # Only the leader: Celery and gunicorn stop their own children in good order.
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(self.program.stop_signal)

    def end(self) -> None:
        """Kill whatever is left of it and its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(2)
        if not self._reader.is_alive() and self.process.stdout is not None:
            self.process.stdout.close()

    def sample_memory(self) -> None:
        for pid in group_members(self.pid):
            self._peaks[pid] = max(self._peaks.get(pid, 0), peak_memory_of(pid))

    @property
    def peak_memory(self) -> int:
        """Return bytes: the peaks of the process and its children added up, as last sampled.

        Shared pages count for each; 0 where the system does not tell (it is read from /proc).
        """
        return sum(self._peaks.values())


class Supervisor:
    """Starts, watches and stops children; a context manager that leaves none behind.

    Inside the context SIGTERM and SIGINT raise StopRequested; a second one kills at once.
    Only for the main thread. `restart_cap`: see RESTART_CAP; a harness that kills by itself needs more.
    """

    def __init__(self, sink: Sink, restart_cap: int | None = None) -> None:
        self.sink = sink
        self.restart_cap = RESTART_CAP if restart_cap is None else restart_cap
        self.children: dict[str, Child] = {}
        self._ended: dict[str, Child] = {}
        self._restarts: dict[str, deque[float]] = {}
        self._proven: set[str] = set()
        self._resting: dict[str, tuple[float, Program]] = {}  # when each is started again, on the monotonic clock
        self._handlers: dict[int, Any] = {}
        self._is_deaf = False
        self._signals = 0

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_deaf = True
        try:
            self.stop()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if not self._is_deaf:
            self._is_deaf = True
            raise StopRequested

    @contextlib.contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Delay signals to the end, so that no child is started and not known."""
        was_deaf, seen = self._is_deaf, self._signals
        self._is_deaf = True
        try:
            yield
        finally:
            self._is_deaf = was_deaf
        if not was_deaf and self._signals > seen:
            self._is_deaf = True
            raise StopRequested

    def start(self, program: Program) -> Child:
        """Start a child without waiting until it is ready; a command that does not exist shows as an early end."""
        with self._undisturbed():
            child = self.children[program.name] = Child(program, self.sink)
        return child

    def start_ready(self, *programs: Program) -> None:
        """Start all of them, then wait until each is ready."""
        for child in [self.start(program) for program in programs]:
            child.wait_ready()

    def finish(self, child: Child, seconds: float) -> None:
        """Wait for a child to do its work and end. Raises ProcessError if that is no success."""
        child.wait(seconds)
        self._forget(child.program.name)

    def watch(self) -> None:
        """Look at the children once: restart those that may be. Raises ProcessError for any other end."""
        for name, (due, program) in list(self._resting.items()):
            if time.monotonic() >= due:
                del self._resting[name]
                self.start(program)
        for name, child in list(self.children.items()):
            if child.age >= PROVEN_AFTER:
                self._proven.add(name)
            if child.exit_code is None:
                continue
            self._forget(name)
            child.end()
            if not child.program.restart:
                raise ProcessError(child.obituary())
            self._restart(child)

    def run_forever(self) -> None:
        """Watch until StopRequested, or ProcessError."""
        while True:
            self.watch()
            time.sleep(WATCH_INTERVAL)

    def stop(self, *names: str) -> None:
        """Stop the named children (default: all) together: their stop signal, a bounded wait, SIGKILL."""
        chosen = [self.children[name] for name in names or list(self.children) if name in self.children]
        for layer in sorted({child.program.layer for child in chosen}, reverse=True):
            self._stop_together([child for child in chosen if child.program.layer == layer])

    def _stop_together(self, children: list[Child]) -> None:
        for child in children:
            child.sample_memory()
            child.ask_to_stop()
        started = time.monotonic()
        patience = max(child.program.stop_within for child in children)
        while any(child.exit_code is None for child in children) and self._signals < 2:
            if time.monotonic() > started + patience:
                break
            time.sleep(PROBE_INTERVAL)
        for child in children:
            child.end()
            self._forget(child.program.name)

    def peak_memory(self) -> dict[str, int]:
        """Return bytes by name, of running and ended children (see Child.peak_memory)."""
        for child in self.children.values():
            child.sample_memory()
        return {name: child.peak_memory for name, child in (self._ended | self.children).items()}

    def _forget(self, name: str) -> None:
        self._ended[name] = self.children.pop(name)

    def _restart(self, child: Child) -> None:
        name = child.program.name
        times = self._restarts.setdefault(name, deque())
        while times and times[0] < time.monotonic() - RESTART_WINDOW:
            times.popleft()
        if len(times) >= self.restart_cap and name in self._proven:
            self.sink("supervisor", f"{name} ended {len(times)} times. It is started again in {RESTART_PAUSE:g} s.")
            self._resting[name] = (time.monotonic() + RESTART_PAUSE, child.program)
            return
        if len(times) >= self.restart_cap:
            raise ProcessError(f"{name} ended {len(times)} times in {RESTART_WINDOW:g} s.\n{child.obituary()}")
        self.sink("supervisor", f"{child.obituary().splitlines()[0]} It is started again.")
        time.sleep(RESTART_WAIT)
        times.append(time.monotonic())
        self.start(child.program)


def group_members(group: int) -> list[int]:
    """Return the processes of a process group, from /proc; just the leader where there is none."""
    if not Path("/proc/self/stat").exists():
        return [group]
    members = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError):
            # pid (name, which may hold anything) state parent group …
            if int(Path(entry.path, "stat").read_text().rpartition(")")[2].split()[2]) == group:
                members.append(int(entry.name))
    return members


def peak_memory_of(pid: int) -> int:
    """Return the highest bytes of resident memory (VmHWM); 0 if unknown."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as listener:
        listener.bind((host, 0))
        return int(listener.getsockname()[1])


def is_port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server could listen there now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


def accepts_connections(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as client:
        client.settimeout(0.5)
        return client.connect_ex((host, port)) == 0
