"""A child ends with the process that forked it, whenever that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked for it")
FORKED = """
import os, sys, time
from smsapp.runtime.lifeline import end_with
parent = os.getpid()
if os.fork():
    time.sleep(60)
if sys.argv[1] == "too late":
    print(os.getpid(), flush=True)
    while os.getppid() == parent:
        time.sleep(0.01)
end_with(parent)
print(os.getpid(), flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("when", ["in time", "too late"])
def test_a_child_ends_with_its_parent(when: str) -> None:
    with subprocess.Popen([sys.executable, "-c", FORKED, when], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            parent.kill()
            deadline = time.monotonic() + 10
            while is_alive(child):
                assert time.monotonic() < deadline, "it lives on"
                time.sleep(0.02)
        finally:
            if is_alive(child):
                os.kill(child, signal.SIGKILL)
