"""The lookup `within`: rows in any of some ranges."""

import pytest

from accounts.models import Account
from tests.support.factories import AccountFactory

pytestmark = pytest.mark.django_db


def test_it_finds_what_lies_in_any_range_with_its_ends() -> None:
    first, second, third, fourth = (AccountFactory().pk for _ in range(4))
    found = Account.objects.filter(pk__within=[(first, second), (fourth, fourth + 10)])
    assert set(found.values_list("pk", flat=True)) == {first, second, fourth}
    assert not Account.objects.filter(pk__within=[(third + 1, third)]).exists()


def test_no_range_finds_nothing() -> None:
    AccountFactory()
    assert not Account.objects.filter(pk__within=[]).exists()
    assert Account.objects.exclude(pk__within=[]).exists()


def test_only_whole_numbers_are_written_into_it() -> None:
    with pytest.raises(ValueError, match="format code 'd'"):
        list(Account.objects.filter(pk__within=[("1 OR 1=1", 2)]))
