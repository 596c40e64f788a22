"""A provider that counts other segments than we do: noted by gateway, shown to the operator, charged by our count."""

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Setting
from messaging.choices import FactSource, MessageStatus
from messaging.gateways import registry
from messaging.gateways.base import Report
from messaging.ids import public_id
from messaging.models import Batch, Message
from messaging.outcomes import segment_drift, settlement
from messaging.routing import router
from messaging.sending.expansion import expand_ready
from reports.selectors import attention
from tests.support.builders import make_twilio, sent_campaign
from tests.support.factories import make_campaign
from tests.support.servers.gateways import answering, raw_server

pytestmark = pytest.mark.django_db
S = MessageStatus


@pytest.fixture
def numbers() -> list[int]:
    make_campaign(count=3)
    expand_ready()
    Batch.objects.update(gateway="infobip")
    return list(Message.objects.order_by("id").values_list("id", flat=True))


def tell(numbers, segments, capture, status=S.DELIVERED) -> None:
    reports = [Report(public_id(number), status, segment_count=segments) for number in numbers]
    with capture(execute=True):
        settlement.apply(settlement.facts_from(reports, FactSource.PUSH)[0])


def notices() -> list[tuple[str, int]]:
    return [(notice.title, notice.count) for notice in attention() if notice.query == f"key={segment_drift.KEY}"]


def test_a_difference_is_counted_by_gateway_and_shown_with_an_example(
    numbers, caplog, django_capture_on_commit_callbacks
):
    tell(numbers[:2], 2, django_capture_on_commit_callbacks)
    tell(numbers[2:], 3, django_capture_on_commit_callbacks)
    drifts = segment_drift.DRIFTS.get()["infobip"]
    assert drifts.count == 3
    assert drifts.last[0].endswith(f"message {public_id(numbers[2])}: the provider counts 3, we count 1")
    assert notices() == [("Reports of infobip that name other segments than we counted", 3)]
    assert "name other segments" in caplog.text
    assert Batch.objects.get().segments == 3


def test_what_agrees_is_unknown_or_changes_nothing_is_no_difference(numbers, django_capture_on_commit_callbacks):
    for segments in (1, 0, None):
        tell(numbers, segments, django_capture_on_commit_callbacks, S.SENT)
    tell(numbers, 1, django_capture_on_commit_callbacks)
    tell(numbers, 2, django_capture_on_commit_callbacks)  # repeated: they are delivered already
    assert (segment_drift.DRIFTS.get(), notices()) == ({}, [])


def test_few_examples_are_kept_and_all_are_counted(numbers, monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr(segment_drift, "KEPT", 2)
    tell(numbers, 2, django_capture_on_commit_callbacks)
    drifts = segment_drift.DRIFTS.get()["infobip"]
    assert (drifts.count, len(drifts.last)) == (3, 2)


def test_a_difference_in_the_answer_to_a_send_is_noted_though_no_report_names_it(
    settings, django_capture_on_commit_callbacks
):
    settings.GATEWAYS_READ_EVERY = 0.0
    registry.reset()
    router.forget()
    answer = {"sid": "SM1", "messaging_service_sid": None, "num_segments": "2", "status": "queued", "price": None}
    with raw_server(answering(201, orjson.dumps(answer))) as server:
        make_twilio(server.url)
        with django_capture_on_commit_callbacks(execute=True):
            campaign = sent_campaign(count=3)
    registry.reset()
    router.forget()
    drifts = segment_drift.DRIFTS.get()["twilio"]
    assert (drifts.count, campaign.sent, Batch.objects.get().segments) == (3, 3, 3)
    assert drifts.last[0].endswith("the provider counts 2, we count 1")
    assert notices() == [("Reports of twilio that name other segments than we counted", 3)]


@pytest.mark.parametrize("value", ["", "settled", "[]", '{"infobip": 3}'])
def test_a_value_that_an_operator_wrote_is_no_failure(numbers, value, django_capture_on_commit_callbacks):
    Setting.objects.create(key=segment_drift.KEY, value=value)
    assert notices() == []
    tell(numbers, 2, django_capture_on_commit_callbacks)
    assert segment_drift.DRIFTS.get()["infobip"].count == 3


def test_counts_that_agree_cost_no_query(numbers):
    counts = []
    for segments, status in ((None, S.SENT), (1, S.DELIVERED)):
        reports = [Report(public_id(number), status, segment_count=segments) for number in numbers]
        with CaptureQueriesContext(connection) as queries:
            settlement.apply(settlement.facts_from(reports, FactSource.PUSH)[0])
        counts.append(len([query for query in queries if Setting._meta.db_table in query["sql"]]))
    assert counts == [0, 0]
