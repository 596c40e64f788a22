"""Accounts and senders with a rate of their own: all of it is used, and no more, without looking again and again."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum

from campaigns.models import Campaign
from messaging.choices import Lane
from messaging.gateways.base import NotSent, SubmitAnswer, Unknown
from messaging.models import Batch
from messaging.routing import sender_rates, throttle
from messaging.routing.throttle_state import Grant
from messaging.sending import dispatch, leases, record, submit
from messaging.sending.capacity import Capacity, Free
from messaging.sending.expansion import expand_ready
from tests.support.factories import MembershipFactory, SenderIdFactory, make_campaign
from tests.support.pipeline.steps import opened_of

pytestmark = pytest.mark.django_db

RATE = 2.0


@pytest.fixture(autouse=True)
def fresh(settings: Any) -> Iterator[None]:
    settings.BATCH_SIZE = 1
    sender_rates.forget()
    yield
    sender_rates.forget()


def limited(count: int, rate: float = RATE, **options: Any) -> Campaign:
    """A campaign of an account that may send so many messages a second."""
    campaign = make_campaign(MembershipFactory(account__rate=rate).account, count=count, **options)
    expand_ready()
    return campaign


def left(name: str, rate: float = RATE) -> int:
    return throttle.may_send_within(name, rate, 1000).granted


def rewrites(act: Callable[[], object]) -> int:
    """Rows of batches that `act` updates."""
    rows: list[int] = []

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and "messaging_batch" in sql.split(" SET ")[0]:
            rows.append(context["cursor"].rowcount)
        return result

    with connection.execute_wrapper(count):
        act()
    return sum(rows)


def test_an_account_with_a_rate_uses_it_and_rewrites_few_rows(simulator: Any) -> None:
    """The first second's worth leaves at once, then one message each half second."""
    campaign, began = limited(6), time.monotonic()

    def run() -> None:
        while campaign.sent < 6 and time.monotonic() < began + 60:
            dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10)
            campaign.refresh_from_db()

    rows = rewrites(run)
    took = time.monotonic() - began
    assert campaign.sent == 6
    assert took >= (6 - RATE) / RATE - 0.1, "faster than it may be"
    assert took < 30, "far slower than it may be"
    epochs = Batch.objects.aggregate(sum=Sum("lease_epoch"))["sum"]
    assert epochs <= 6 + 3, "a batch is leased to be sent, not to be put off"
    assert rows <= 6 * 5 + 3 * 2, "of each: leased, sent, counted, planned, given back"


def test_while_there_is_no_room_nothing_is_leased_or_written(simulator: Any) -> None:
    campaign = limited(5, rate=0.02)
    assert dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10) == 1
    for _ in range(10):
        assert rewrites(lambda: dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10)) == 0
    quick = make_campaign(count=3)
    expand_ready()
    assert dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10) == 3, "nobody else waits"
    quick.refresh_from_db()
    campaign.refresh_from_db()
    assert (quick.sent, campaign.sent) == (3, 1)


def test_a_sender_without_room_stops_no_other_of_its_account(simulator: Any) -> None:
    account = MembershipFactory().account
    SenderIdFactory(account=account, value="SLOW", rate=0.02)
    SenderIdFactory(account=account, value="QUICK")
    slow, quick = (make_campaign(account, count=3, sender_id=sender) for sender in ("SLOW", "QUICK"))
    expand_ready()
    dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10)
    slow.refresh_from_db()
    quick.refresh_from_db()
    assert (slow.sent, quick.sent) == (1, 3)
    assert rewrites(lambda: dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10)) == 0


def test_no_more_is_leased_than_there_is_room_for() -> None:
    limited(10, rate=3.0)
    capacity = Capacity({"simulator": Free(8, 32)})
    assert len(leases.lease(Lane.CAMPAIGNS, 8, capacity)) == 1, "met for the first time"
    looked = sender_rates.look()
    assert [(own.rate, look.granted) for own, look in looked] == [(3.0, 3)]
    capacity = Capacity({"simulator": Free(8, 32)}, left={own.name: look.granted for own, look in looked})
    assert len(leases.lease(Lane.CAMPAIGNS, 8, capacity)) == 3


def test_one_that_stays_without_room_is_met_again_so_that_a_new_rate_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = limited(2, rate=0.02)
    sender_rates.meet(campaign)
    assert len(sender_rates.look()) == 1
    monkeypatch.setattr(sender_rates, "KNOWN_FOR", -1.0)
    assert sender_rates.look() == []


# --- nothing is lost -------------------------------------------------------------------------------------------------


def test_a_gateway_that_says_no_costs_no_room_of_the_account() -> None:
    campaign = limited(1, rate=0.02)
    throttle.report_outcome("simulator", Grant(1, 0.0), throttle.Outcome.THROTTLED, 60)
    denied = sender_rates.take(campaign, "simulator", 5)
    assert (denied.granted, denied.wait > 50) == (0, True)
    assert left(f"account:{campaign.account_id}", 0.02) == 1


def test_a_gateway_with_room_for_fewer_costs_no_more_of_the_account(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SIMULATOR_RATE = 4.0
    campaign = limited(1, rate=100.0)
    returned: list[tuple[str, int]] = []
    monkeypatch.setattr(throttle, "give_back", lambda name, count: returned.append((name, count)))
    grant = sender_rates.take(campaign, "simulator", 50)
    assert (grant.granted, grant.own) == (4, (f"account:{campaign.account_id}",))
    assert returned == [(grant.own[0], 46)]


def test_a_sender_that_says_no_costs_no_room_of_its_account() -> None:
    account = MembershipFactory(account__rate=0.5).account
    SenderIdFactory(account=account, value="SLOW", rate=0.02)
    campaign = make_campaign(account, count=1, sender_id="SLOW")
    throttle.take_within(f"sender:{account.pk}:SLOW", 0.02, 1)
    denied = sender_rates.take(campaign, "simulator", 1)
    assert (denied.granted, denied.wait > 10) == (0, True)
    assert left(f"account:{account.pk}", 0.5) == 1


@pytest.mark.parametrize("ending", ["not sent", "held back", "lost", "accepted"])
def test_what_was_not_handed_over_does_not_count(ending: str) -> None:
    campaign = limited(1, rate=0.02)
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    call = opened_of(batch)
    assert call is not None
    name = f"account:{campaign.account_id}"
    assert left(name, 0.02) == 0
    ids = [message.message_id for message in call.submission.messages]
    endings = {
        "not sent": {"error": NotSent("no connection")},
        "held back": {"answer": SubmitAnswer(200, not_sent=ids, not_sent_error=NotSent("later"))},
        "lost": {"error": Unknown("time-out")},
        "accepted": {"answer": SubmitAnswer(200, accepted=ids)},
    }
    record.record_all([submit.Result(call, **endings[ending])])
    assert left(name, 0.02) == (1 if ending in ("not sent", "held back") else 0)


def test_what_no_call_is_made_of_comes_back(settings: Any) -> None:
    settings.SIMULATOR_RATE = 0.02
    campaign = limited(1, rate=0.02)
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    Batch.objects.update(lease_epoch=99)
    assert opened_of(batch) is None
    assert left(f"account:{campaign.account_id}", 0.02) == 1
    assert throttle.may_call("simulator").granted == 1
