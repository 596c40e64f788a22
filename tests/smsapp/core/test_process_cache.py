import pytest
from django.db import OperationalError

from smsapp.core import process_cache
from smsapp.core.process_cache import Reread, remember


class Source:
    """What is read: counts how often, and fails where told to."""

    def __init__(self) -> None:
        self.reads = 0
        self.is_away = False

    def read(self) -> int:
        if self.is_away:
            raise OperationalError
        self.reads += 1
        return self.reads


@pytest.fixture
def now(monkeypatch):
    """The monotonic clock: a list of one moment."""
    moment = [1000.0]
    monkeypatch.setattr("smsapp.core.process_cache.time.monotonic", lambda: moment[0])
    return moment


def test_a_value_is_read_again_when_it_is_old(now):
    source = Source()
    value = Reread("sources", source.read, 0, lambda: 5.0)
    assert (value.was_read, value.get(), value.get(), value.was_read) == (False, 1, 1, True)
    now[0] += 4.9
    assert value.get() == 1
    now[0] += 0.1
    assert value.get() == 2
    value.expire()
    assert value.get() == 3


def test_while_the_database_is_away_the_last_value_is_used_and_reading_is_tried_again(now, caplog):
    source = Source()
    value = Reread("sources", source.read, 0, lambda: 5.0)
    source.is_away = True
    assert (value.get(), value.was_read) == (0, False)
    assert "sources could not be read" in caplog.text
    source.is_away = False
    assert value.get() == 1
    source.is_away = True
    now[0] += 5
    assert (value.get(), value.was_read) == (1, True)


def test_results_are_kept_by_their_key_and_no_failure_is():
    calls = []

    @remember(2, 60, key=lambda number, _: number)
    def half(number, about):
        calls.append((number, about))
        if number % 2:
            raise ValueError(number)
        return number / 2

    assert (half(4, "a"), half(4, "b"), half(8, "c")) == (2, 2, 4)
    for _ in range(2):
        with pytest.raises(ValueError, match="3"):
            half(3, "d")
    assert calls == [(4, "a"), (8, "c"), (3, "d"), (3, "d")]


def test_all_is_forgotten_in_one_call():
    source = Source()
    value = Reread("sources", source.read, 0, lambda: 60.0)
    count = remember(5, 60)(source.read)
    assert (value.get(), count(), count()) == (1, 2, 2)
    process_cache.clear()
    assert (value.was_read, value.get(), count()) == (False, 3, 4)
