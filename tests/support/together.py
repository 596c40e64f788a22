"""Several workers at once: threads with database connections of their own."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection

SECONDS = 60  # after which a worker that has not ended is a failure


@contextmanager
def together(*acts: Callable[[], object]) -> Iterator[None]:
    """Run all of `acts` beside the body, each in a thread; leaving the body waits for them and raises the first
    error that one of them raised."""
    start = threading.Barrier(len(acts))
    errors: list[BaseException] = []

    def run(act: Callable[[], object]) -> None:
        try:
            start.wait(SECONDS)
            act()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,), daemon=True) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop_at = time.monotonic() + SECONDS
        for thread in threads:
            thread.join(max(stop_at - time.monotonic(), 0))
    assert not any(thread.is_alive() for thread in threads), "a worker did not end in time"
    if errors:
        raise errors[0]


@contextmanager
def meanwhile(*steps: Callable[[], object]) -> Iterator[None]:
    """Repeat each of `steps` in a thread of its own until the body ends."""
    is_over = threading.Event()

    def repeat(step: Callable[[], object]) -> None:
        while not is_over.is_set():
            step()

    with together(*(lambda step=step: repeat(step) for step in steps)):
        try:
            yield
        finally:
            is_over.set()


def callers(count: int) -> int:
    """So many on PostgreSQL; a few where one waits for the other by trying again."""
    return count if connection.vendor == "postgresql" else min(count, 8)


def patiently(act: Callable[[], object]) -> None:
    """`act` until the database lets us: SQLite in memory refuses at once where a file would make us wait."""
    while True:
        try:
            act()
        except OperationalError:
            if connection.vendor != "sqlite":
                raise
            time.sleep(random.uniform(0.01, 0.2))  # at random, or many would keep refusing one another
        else:
            return


def run_together(*acts: Callable[[], object]) -> None:
    """Run all of `acts` at once, and return when they have ended."""
    with together(*acts):
        pass
