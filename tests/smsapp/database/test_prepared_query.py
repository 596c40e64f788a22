"""Queries made once answer as those that Django makes each time, on both databases."""

import pytest
from django.db import connection
from django.db.models import Count
from django.test.utils import CaptureQueriesContext

from accounts.choices import Mode
from accounts.models import ApiKey, Membership
from smsapp.database.prepared_query import Compiled, Slot
from tests.support.factories import MembershipFactory

pytestmark = [pytest.mark.django_db, pytest.mark.both]

KEYS = Compiled(
    lambda: (
        ApiKey.objects.filter(account_id=Slot("account"), mode=Mode.LIVE)
        .annotate(members=Count("account__memberships"))
        .order_by("name")
        .values_list("name", "scopes", "created_at", "last_used_at", "members")
    )
)


def make_key(owner: Membership, name: str, mode: Mode = Mode.LIVE) -> ApiKey:
    values = {"prefix": name.ljust(10, "x"), "secret_hash": "-", "scopes": ["messages:send"]}
    return ApiKey.objects.create(account=owner.account, user=owner.user, name=name, mode=mode, **values)


def test_each_question_has_its_own_values_and_columns_are_what_they_are_in_python() -> None:
    owner, stranger = MembershipFactory.create_batch(2)
    keys = [make_key(owner, "b"), make_key(owner, "a")]
    make_key(owner, "test", Mode.TEST)
    other = make_key(stranger, "other")
    shown = [(key.name, ["messages:send"], key.created_at, None, 1) for key in (*reversed(keys), other)]
    assert KEYS.rows(account=owner.account_id) == shown[:2]
    assert KEYS.row(account=stranger.account_id) == shown[2]
    assert KEYS.row(account=0) is None


def test_the_sql_is_made_once() -> None:
    makes = []
    query = Compiled(lambda: makes.append(1) or ApiKey.objects.filter(name=Slot("name")).values_list("pk"))
    with CaptureQueriesContext(connection) as queries:
        assert query.rows(name="x' OR 1=1 --") == query.rows(name="y") == []
    assert len(queries) == 2
    assert makes == [1]


def test_a_value_that_is_not_given_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="account"):
        KEYS.rows()
