"""Message ids are permuted and told apart from those of before, and both databases calculate the same."""

import random
from itertools import pairwise

import pytest
from django.db import connection

from messaging.migrations import _view
from messaging.seal import SEALED, Seal

KEYS = (727161289, 556205804, 778828723, 579974702, 823916183, 800234201, 1054185816, 911365331)


def numbers() -> list[int]:
    chance = random.Random(7)
    return [*range(1, 3000), *(chance.randrange(1, SEALED) for _ in range(3000))]


def test_each_batch_has_a_number_of_its_own_and_is_found_by_it() -> None:
    seal = Seal(5, KEYS)
    sealed = [seal.sealed(batch) for batch in numbers()]
    assert len(set(sealed)) == len(set(numbers()))
    assert all(value < 2 * SEALED for value in sealed)
    assert [seal.opened(value) for value in sealed] == numbers()


def test_batches_of_before_keep_theirs_and_no_other_number_is_one() -> None:
    seal = Seal(100, KEYS)
    assert [seal.sealed(batch) for batch in (1, 100)] == [1, 100]
    assert seal.sealed(101) & SEALED
    assert seal.opened(101) is None
    assert seal.opened(seal.sealed(101)) == 101
    assert Seal(0, KEYS).opened(Seal(100, KEYS).sealed(101)) == 101
    below = next(value for value in range(SEALED, SEALED + 10**6) if (Seal(0, KEYS).opened(value) or 0) <= 10**12)
    assert Seal(10**12, KEYS).opened(below) is None


def test_two_ids_do_not_tell_how_many_lie_between_them() -> None:
    seal = Seal(0, KEYS)
    values = [seal.sealed(batch) for batch in range(1, 1002)]
    steps = {second - first for first, second in pairwise(values)}
    assert len(steps) > 990  # of 1,000 steps of one
    rising = sum(second > first for first, second in pairwise(values))
    assert 400 < rising < 600


@pytest.mark.django_db
def test_the_databases_calculate_the_same() -> None:
    """What the view `sms_messages` does with a number, for thousands of batches."""
    keys = ", ".join(f"CAST({key} AS bigint) AS k{place}" for place, key in enumerate(KEYS, 1))
    found = []
    with connection.cursor() as cursor:
        for start in range(0, len(numbers()), 500):
            some = numbers()[start : start + 500]
            rows = " UNION ALL ".join(f"SELECT CAST({batch << 10 | 7} AS bigint) AS id" for batch in some)
            cursor.execute(f"SELECT {_view._sealed()} FROM ({rows}) m CROSS JOIN (SELECT {keys}) seal")
            found += [row[0] for row in cursor.fetchall()]
    seal = Seal(0, KEYS)
    assert sorted(found) == sorted(seal.sealed(batch) << 10 | 7 for batch in numbers())
