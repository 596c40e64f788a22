"""A file of lines that survive a crash."""

import asyncio
import os
from pathlib import Path
from typing import BinaryIO


class DurableFile:
    """Appends of calls that are in flight together share one write and one fsync."""

    def __init__(self, path: Path) -> None:
        _drop_torn_line(path)
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._waiting: list[tuple[bytes, asyncio.Future[None] | None]] = []
        self._flush_task: asyncio.Task[None] | None = None

    async def append(self, lines: bytes) -> None:
        """Return when they are on disk; raises OSError, and then nothing of them is there."""
        future = asyncio.get_running_loop().create_future()
        self._add(lines, future)
        await asyncio.shield(future)

    def append_soon(self, lines: bytes) -> None:
        """They are on disk with the next lines that somebody waits for, or when the system sees fit."""
        self._add(lines, None)

    def close(self) -> None:
        if self._waiting:
            self._write(b"".join(lines for lines, _ in self._waiting), is_awaited=True)
        self._file.close()

    def _add(self, lines: bytes, future: "asyncio.Future[None] | None") -> None:
        self._waiting.append((lines, future))
        if self._flush_task is None or self._flush_task.done():
            self._flush_task = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, []
            data = b"".join(lines for lines, _ in taken)
            is_awaited = any(future for _, future in taken)
            error: OSError | None = None
            try:
                if is_awaited:
                    await asyncio.to_thread(self._write, data, is_awaited=True)
                else:
                    self._write(data, is_awaited=False)
            except OSError as failure:
                error = failure
            for _, future in taken:
                if future and not future.done():
                    future.set_exception(error) if error else future.set_result(None)

    def _write(self, data: bytes, *, is_awaited: bool) -> None:
        """All of it, or nothing: a call that is not accepted may not be found here after a restart either."""
        size = os.fstat(self._file.fileno()).st_size
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            if is_awaited:
                os.fsync(self._file.fileno())
        except OSError:
            os.ftruncate(self._file.fileno(), size)
            raise


def _drop_torn_line(path: Path) -> None:
    """A line cut by a crash was never answered, so nothing of it was accepted."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
