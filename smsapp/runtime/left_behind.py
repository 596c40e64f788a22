"""Processes that an earlier `make run` of a folder left behind, and who holds its database; found in /proc.

Everything a `run` starts carries the folder in its environment. The broker overwrites its own, and is known by the lock
file that it holds open.
"""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from smsapp.runtime.supervisor import NAME_MARK

FOLDER_MARK = "SMSAPP_RUN_IN"
END_WITHIN = 10.0  # seconds for a killed process to be gone; one that waits for a broken disk may need for ever
SHOWN = 100  # characters of a command line
#: Byte of the -shm file that stands for SQLite's write lock in WAL mode: (22 + 8) * 4 + WAL_WRITE_LOCK.
WAL_WRITE_LOCK = 120


def end_left_behind(folder: Path) -> list[str]:
    """Kill what an earlier `run` of the folder left. Yield a description of each.

    Only for the holder of the folder's run.lock: any process with its mark then has no living supervisor.
    """
    ended = []
    for pid in _processes():
        if pid == os.getpid() or not _is_of(pid, folder):
            continue
        with suppress(OSError):
            descriptor = os.pidfd_open(pid)  # from here on the process id cannot pass to another process
            try:
                if _is_of(pid, folder):
                    what = described(pid)
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    is_gone = bool(select.select([descriptor], [], [], END_WITHIN)[0])
                    ended.append(what if is_gone else f"{what}, which does not end")
            finally:
                os.close(descriptor)
    return ended


def holders_of(database: Path) -> list[str]:
    """Return who else holds the write lock of a SQLite database; if nobody is seen to, who has it open."""
    files = [database, *(database.with_name(f"{database.name}{suffix}") for suffix in ("-wal", "-shm"))]
    names = {str(path.resolve()) for path in files}
    users = {pid for pid in _processes() if pid != os.getpid() and names & set(_open_files(pid))}
    inodes = {path.stat().st_ino: path for path in files if path.exists()}
    writers = {
        pid
        for pid, inode, first, last in _write_locks()
        if inode in inodes and _is_write_lock(inodes[inode], database, first, last)
    }
    return [described(pid) for pid in sorted(users & writers or users)]


def described(pid: int) -> str:
    """Return a description for a person: `worker (process 123: python -m celery ...)`."""
    command = _read(pid, "cmdline").replace("\0", " ").strip()[:SHOWN]
    name = _environment(pid).get(NAME_MARK, "")
    return f"{name} (process {pid}: {command})" if name else f"process {pid} ({command})"


def _is_of(pid: int, folder: Path) -> bool:
    if _environment(pid).get(FOLDER_MARK) == str(folder.resolve()):
        return True
    return str(folder.resolve() / "broker" / "lock") in _open_files(pid)


def _is_write_lock(path: Path, database: Path, first: int, last: float) -> bool:
    """Return whether a lock is the write lock: in WAL mode one byte beside the database, else any write lock."""
    return path == database or (path.name.endswith("-shm") and first <= WAL_WRITE_LOCK <= last)


def _processes() -> Iterator[int]:
    """Yield processes; None if there is no /proc. Little can be read of other users', except by root."""
    with suppress(FileNotFoundError):
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                yield int(entry.name)


def _environment(pid: int) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in _read(pid, "environ").split("\0"))
    return {name: value for name, _, value in pairs}


def _open_files(pid: int) -> list[str]:
    found = []
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.append(os.readlink(entry.path))
    return found


def _write_locks() -> Iterator[tuple[int, int, int, float]]:
    """Yield (process, inode, first byte, last byte) of each write lock on a file."""
    with suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            # 1: POSIX ADVISORY WRITE 3551 08:02:1234 120 120, with "->" before what only waits
            _, kind, _, mode, pid, file, first, last = line.replace("-> ", "wait-").split()
            if kind == "POSIX" and mode == "WRITE":
                yield int(pid), int(file.split(":")[2]), int(first), float("inf") if last == "EOF" else int(last)


def _read(pid: int, name: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    return ""
