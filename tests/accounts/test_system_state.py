"""Typed state of the installation in rows of `settings`."""

import json
import threading

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts import system_state
from accounts.models import Setting
from accounts.system_state import SystemState, object_of, object_or_nothing

pytestmark = pytest.mark.django_db

COUNT = SystemState("count_of_a_test", "For tests.", load=lambda text: int(text or 0), dump=str)
OTHER = SystemState("other_of_a_test", "For tests.", load=object_of, dump=json.dumps, is_fixed=False)


def test_nothing_is_stored_until_something_is_put() -> None:
    assert (COUNT.get(), COUNT.has_row()) == (0, False)
    COUNT.put(3)
    row = Setting.objects.get(key=COUNT.key)
    assert (COUNT.get(), row.value, row.description, row.is_fixed) == (3, "3", "For tests.", True)
    COUNT.delete()
    assert (COUNT.get(), COUNT.has_row()) == (0, False)


def test_putting_again_is_one_update() -> None:
    COUNT.put(1)
    before = Setting.objects.get(key=COUNT.key)
    with CaptureQueriesContext(connection) as queries:
        COUNT.put(2)
    row = Setting.objects.get(key=COUNT.key)
    assert len(queries) == 1
    assert (row.pk, row.value, row.created_at) == (before.pk, "2", before.created_at)
    assert row.updated_at != before.updated_at  # to some milliseconds: it is read from a clock that is carried on


def test_only_what_was_read_is_replaced() -> None:
    assert COUNT.compare_and_set(COUNT.nothing(), 1) is None, "there is no row"
    COUNT.create(0)
    Setting.objects.filter(key=COUNT.key).update(value="")
    first = COUNT.read()
    stored = COUNT.compare_and_set(first, 1)
    assert stored == COUNT.read()
    assert COUNT.compare_and_set(first, 2) is None
    assert COUNT.compare_and_set(stored, 3).value == COUNT.get() == 3


def test_a_text_that_an_earlier_version_stored_can_be_replaced() -> None:
    Setting.objects.create(key=COUNT.key, value=" 007 ")
    stored = COUNT.read()
    assert stored.value == 7
    assert COUNT.compare_and_set(stored, 8)


def test_a_row_is_created_once() -> None:
    COUNT.create(1)
    COUNT.create(2)
    COUNT.make_row()
    assert COUNT.get() == 1


def test_several_are_read_by_one_query() -> None:
    OTHER.put({"a": 1})
    with CaptureQueriesContext(connection) as queries:
        assert system_state.get_all(COUNT, OTHER) == [0, {"a": 1}]
    assert len(queries) == 1


@pytest.mark.parametrize("text", ["", "{broken", "[]", "3", "null"])
def test_what_operators_leave_there_is_read_as_nothing(text: str) -> None:
    assert object_or_nothing(text) == {}


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_a_lock_makes_the_next_process_wait_even_for_a_row_that_was_missing() -> None:
    def add() -> None:
        try:
            with transaction.atomic():
                COUNT.put(COUNT.lock() + 1)
        finally:
            connection.close()

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert COUNT.get() == len(threads)
