"""An account reads its own days, each of them once, in one query."""

from datetime import date

import pytest

from accounts.choices import Mode
from accounts.models import Account
from campaigns.models.tally import COUNTED_STATUSES
from reports.models import DailyStat
from reports.selectors import daily, total
from tests.support.factories import AccountFactory

pytestmark = pytest.mark.django_db

FIRST, SECOND, THIRD, LAST = (date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2))


@pytest.fixture
def account() -> Account:
    """Messages on the second and the last day; on the days around, in test mode and of another account too."""
    account, other = AccountFactory(), AccountFactory()
    for day in (date(2026, 2, 26), SECOND, LAST, date(2026, 3, 3)):
        DailyStat.objects.create(account=account, mode=Mode.LIVE, day=day, delivered=5, failed=1, segments=8)
    DailyStat.objects.create(account=account, mode=Mode.TEST, day=THIRD, delivered=100, segments=100)
    DailyStat.objects.create(account=other, mode=Mode.LIVE, day=THIRD, delivered=1000, segments=1000)
    return account


def test_every_day_is_there_once_in_order_and_empty_ones_too(account, django_assert_num_queries):
    with django_assert_num_queries(1):
        days = daily(account, Mode.LIVE, FIRST, LAST)
    assert list(days) == [FIRST, SECOND, THIRD, LAST]
    assert [figures.messages for figures in days.values()] == [0, 6, 0, 6]
    assert [figures.segments for figures in days.values()] == [0, 8, 0, 8]
    assert {tuple(figures.tally) for figures in days.values()} == {COUNTED_STATUSES}


def test_total_is_the_sum_of_its_days(account):
    figures = total(daily(account, Mode.LIVE, FIRST, LAST).values())
    assert (figures.messages, figures.tally["delivered"], figures.tally["failed"], figures.segments) == (12, 10, 2, 16)
    assert total([]).messages == 0


def test_modes_are_read_apart(account):
    assert total(daily(account, Mode.TEST, FIRST, LAST).values()).messages == 100


def test_days_that_end_before_they_begin_are_none(account):
    assert daily(account, Mode.LIVE, LAST, FIRST) == {}
