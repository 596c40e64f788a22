"""What every change leaves for the statistics adds up to the tallies, whatever happened."""

import pytest
from django.db.models import Sum

from messaging.choices import FactSource, Lane, MessageStatus, Reason
from messaging.gateways.base import Report
from messaging.models import Message, StatDelta
from messaging.outcomes import settlement
from messaging.outcomes.settlement import Fact
from messaging.sending.dispatch import dispatch_ready
from messaging.sending.expansion import expand_ready
from tests.support.factories import make_campaign
from tests.support.pipeline.assertions import assert_adds_up

pytestmark = pytest.mark.django_db(transaction=True)
S = MessageStatus


def test_delta_rows_add_up_to_the_tallies_from_expansion_to_the_last_correction(simulator):
    make_campaign(count=25)
    expand_ready()
    assert_adds_up()
    dispatch_ready(Lane.CAMPAIGNS)
    assert_adds_up()
    numbers = list(Message.objects.order_by("id").values_list("id", flat=True))
    for status in (S.UNDELIVERED, S.DELIVERED, S.UNDELIVERED):
        settlement.apply([Fact(number, status, FactSource.PUSH, Reason.NONE) for number in numbers[:9]])
    settlement.apply([Fact(number, S.UNCONFIRMED, FactSource.DEADLINE, Reason.NO_REPORT) for number in numbers[9:15]])
    assert_adds_up()
    refused = Report("", S.REJECTED)
    for status in (S.REJECTED, S.UNDELIVERED, S.REJECTED, S.DELIVERED):
        settlement.apply([Fact(number, status, FactSource.PUSH, report=refused) for number in numbers[12:20]])
        assert_adds_up()
    assert StatDelta.objects.aggregate(total=Sum("delivered"))["total"] == 17


def test_a_fact_that_changes_nothing_leaves_no_row():
    make_campaign(count=2)
    expand_ready()
    before = StatDelta.objects.count()
    number = Message.objects.order_by("id").values_list("id", flat=True)[0]
    settlement.apply([Fact(number, S.UNCONFIRMED, FactSource.DEADLINE, Reason.NO_REPORT)])
    assert StatDelta.objects.count() == before


def test_a_change_that_is_rolled_back_leaves_no_row(monkeypatch):
    make_campaign(count=2)
    expand_ready()
    before = StatDelta.objects.count()

    def break_off(*args: object) -> None:
        raise RuntimeError("cut off")

    monkeypatch.setattr(settlement, "_move_counters", break_off)
    number = Message.objects.order_by("id").values_list("id", flat=True)[0]
    with pytest.raises(RuntimeError):
        settlement.apply([Fact(number, S.SENT, FactSource.ANSWER)])
    assert StatDelta.objects.count() == before
