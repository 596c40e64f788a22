"""`among` finds what `in` finds, and its keys are one parameter."""

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from accounts.models import Account
from campaigns.models import Campaign
from tests.support.factories import AccountFactory, make_campaign

pytestmark = pytest.mark.django_db


def parameters(found: QuerySet) -> int:
    return len(found.query.sql_with_params()[1])


@pytest.mark.parametrize("wanted", [(), (0,), (0, 2), (2, 2, 1)])
def test_it_finds_what_in_finds(wanted: tuple[int, ...]) -> None:
    keys = [AccountFactory().pk for _ in range(3)]
    chosen = [keys[place] for place in wanted] + [-1]
    assert list(Account.objects.filter(pk__among=chosen).order_by("pk")) == list(
        Account.objects.filter(pk__in=chosen).order_by("pk")
    )
    assert list(Account.objects.exclude(pk__among=set(chosen)).order_by("pk")) == list(
        Account.objects.exclude(pk__in=chosen).order_by("pk")
    )


def test_it_asks_the_row_itself_for_the_key_of_another() -> None:
    campaign = make_campaign()
    found = Campaign.objects.filter(account__pk__among=[campaign.account_id])
    assert list(found) == [campaign]
    assert "JOIN" not in str(found.query)


def test_its_keys_are_one_parameter_of_every_kind_of_statement() -> None:
    campaign = make_campaign()
    keys = [*range(-2000, 0), campaign.pk]
    found = Campaign.objects.filter(pk__among=keys)
    assert parameters(Campaign.objects.filter(pk__in=keys)) == len(keys)
    assert parameters(found) == parameters(found.select_for_update()) == 1
    with CaptureQueriesContext(connection) as captured:
        assert found.update(name="renamed") == 1
    assert len(captured) == 1
