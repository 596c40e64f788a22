"""The supervisor leaves no process behind, however things end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from smsapp.runtime.supervisor import (
    Child,
    ProcessError,
    Program,
    StopRequested,
    Supervisor,
    group_members,
    into_folder,
)

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
SLEEP = "import time; print('on', flush=True); time.sleep(60)"
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def nothing(name: str, line: str) -> None:
    pass


def python(name: str, code: str, **options: object) -> Program:
    return Program(name, [sys.executable, "-c", code], **options)  # type: ignore[arg-type]


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def last_line(child: Child) -> str:
    wait_until(lambda: child.tail)
    return child.tail[-1]


def test_output_is_kept_apart_by_name(tmp_path: Path) -> None:
    with Supervisor(into_folder(tmp_path)) as supervisor:
        one = supervisor.start(python("one", "print('first'); import sys; print('second', file=sys.stderr)"))
        two = supervisor.start(python("two", "print('other')"))
        supervisor.finish(one, 10)
        supervisor.finish(two, 10)
    assert sorted((tmp_path / "one.log").read_text().split()) == ["first", "second"]
    assert (tmp_path / "two.log").read_text() == "other\n"


def test_leaving_the_context_stops_a_child_that_ignores_sigterm() -> None:
    with Supervisor(nothing) as supervisor:
        child = supervisor.start(python("stubborn", STUBBORN, stop_within=0.3))
        last_line(child)
    assert child.exit_code == -signal.SIGKILL


def test_grandchildren_go_with_their_parent() -> None:
    with Supervisor(nothing) as supervisor:
        grandchild = int(last_line(supervisor.start(python("parent", PARENT))))
        assert is_alive(grandchild)
    wait_until(lambda: not is_alive(grandchild))


def test_the_broker_stops_after_its_workers(tmp_path: Path) -> None:
    note = "import signal, sys, time; signal.signal(15, lambda *a: sys.exit(f'stopped at {time.time()}')); "
    code = note + "print('on', flush=True); time.sleep(60)"
    with Supervisor(into_folder(tmp_path)) as supervisor:
        for name, layer in (("broker", 0), ("worker", 1)):
            last_line(supervisor.start(python(name, code, layer=layer)))
    stopped = {name: float((tmp_path / f"{name}.log").read_text().split()[-1]) for name in ("broker", "worker")}
    assert stopped["worker"] < stopped["broker"]


def test_a_signal_stops_everything() -> None:
    with pytest.raises(StopRequested), Supervisor(nothing) as supervisor:  # noqa: PT012
        children = [supervisor.start(python(name, SLEEP)) for name in "ab"]
        os.kill(os.getpid(), signal.SIGTERM)
        supervisor.run_forever()
    assert [child.exit_code for child in children] == [-signal.SIGTERM] * 2


def test_a_second_signal_ends_the_patience() -> None:
    started = time.monotonic()
    with pytest.raises(StopRequested), Supervisor(nothing) as supervisor:  # noqa: PT012
        last_line(supervisor.start(python("stubborn", STUBBORN, stop_within=30)))
        signal.signal(signal.SIGALRM, lambda number, frame: os.kill(os.getpid(), signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        os.kill(os.getpid(), signal.SIGINT)
        supervisor.run_forever()
    assert time.monotonic() - started < 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_children_die_when_the_supervisor_is_killed() -> None:
    code = (
        "import sys, time; from smsapp.runtime.supervisor import *\n"
        "with Supervisor(lambda name, line: print(line, flush=True)) as s:\n"
        "    s.start(Program('child', [sys.executable, '-c', 'import os, time; print(os.getpid()); "
        'sys = __import__("sys"); sys.stdout.flush(); time.sleep(60)\']))\n'
        "    s.run_forever()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        wait_until(lambda: not is_alive(child))


def test_an_unexpected_end_is_reported_with_its_last_lines() -> None:
    with Supervisor(nothing) as supervisor:
        supervisor.start(python("worker", "import sys; print('no such queue'); sys.exit(3)"))
        with pytest.raises(ProcessError, match=r"(?s)worker ended with code 3\..*no such queue"):
            supervisor.run_forever()


def test_a_program_that_may_come_back_is_started_again_after_a_kill(tmp_path: Path) -> None:
    with Supervisor(into_folder(tmp_path)) as supervisor:
        first = supervisor.start(python("worker", SLEEP, restart=True))
        last_line(first)
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: first.exit_code is not None)
        supervisor.watch()
        second = supervisor.children["worker"]
        assert last_line(second) == "on"
        assert second.pid != first.pid
    assert "worker was ended by SIGKILL. It is started again." in (tmp_path / "supervisor.log").read_text()


def test_a_program_that_always_fails_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsapp.runtime.supervisor.RESTART_WAIT", 0)
    monkeypatch.setattr("smsapp.runtime.supervisor.RESTART_CAP", 2)
    with Supervisor(nothing) as supervisor:
        supervisor.start(python("worker", "raise SystemExit(1)", restart=True))
        with pytest.raises(ProcessError, match="worker ended 2 times"):
            supervisor.run_forever()


def test_a_program_that_has_run_before_is_never_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"RESTART_WAIT": 0, "RESTART_CAP": 2, "RESTART_PAUSE": 0.1, "PROVEN_AFTER": 0}.items():
        monkeypatch.setattr(f"smsapp.runtime.supervisor.{name}", value)
    starts = tmp_path / "starts"
    code = f"open({str(starts)!r}, 'a').write('x'); raise SystemExit(1)"
    with Supervisor(into_folder(tmp_path)) as supervisor:
        supervisor.start(python("worker", code, restart=True))

        def has_started(times: int) -> bool:
            supervisor.watch()
            return starts.exists() and len(starts.read_text()) >= times

        wait_until(lambda: has_started(5))
    assert "worker ended 2 times. It is started again in 0.1 s." in (tmp_path / "supervisor.log").read_text()


def test_a_program_that_is_never_ready_is_an_error_in_time() -> None:
    with pytest.raises(ProcessError, match=r"web was not ready within 0\.3 s"), Supervisor(nothing) as supervisor:
        supervisor.start_ready(python("web", SLEEP, ready=lambda: False, ready_within=0.3))


def test_a_command_that_does_not_exist_is_named() -> None:
    with pytest.raises(ProcessError, match="no-such-command"), Supervisor(nothing) as supervisor:
        supervisor.start_ready(Program("web", ["no-such-command"], ready=lambda: False))


def test_peak_memory_counts_children_and_stays_after_the_end() -> None:
    megabyte = 1024 * 1024
    code = PARENT.replace('"import time', f"\"x = b'x' * (64 * {megabyte}); import time")
    with Supervisor(nothing) as supervisor:
        child = supervisor.start(python("parent", code))
        last_line(child)
        wait_until(lambda: supervisor.peak_memory()["parent"] > 64 * megabyte)
        assert len(group_members(child.pid)) == 2
    assert 64 * megabyte < supervisor.peak_memory()["parent"] < 512 * megabyte
