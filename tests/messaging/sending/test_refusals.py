"""A gateway that refuses one message after the other: the campaign is paused before all of it is rejected."""

import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from campaigns import services as campaign_services
from campaigns.choices import CampaignStatus, PauseReason
from campaigns.models import Campaign
from campaigns.validation import CampaignRequest
from messaging.choices import GatewayKind, Lane, MessageStatus, Reason
from messaging.gateways import registry
from messaging.gateways.base import NotSent, Refused, Report
from messaging.models import Attempt, Batch, Gateway, Message, RefusalRow
from messaging.routing import router
from messaging.sending import dispatch, record, refusals
from messaging.sending.expansion import expand_ready
from messaging.sending.leases import lease
from messaging.sending.submit import Call, Result, make_call
from messaging.services import send as send_single
from smsapp.core import clock
from tests.support.factories import AccountFactory, MembershipFactory, SenderIdFactory, in_use, make_campaign, phones
from tests.support.pipeline.assertions import assert_counted
from tests.support.pipeline.rounds import eventually, send, statuses
from tests.support.pipeline.steps import opened_of
from tests.support.servers.gateways import answering, raw_server

pytestmark = pytest.mark.django_db
S = MessageStatus
LIMIT = 10


@pytest.fixture(autouse=True)
def quick(settings: Any) -> Iterator[None]:
    settings.RETRY_BACKOFF_MAX, settings.GATEWAYS_READ_EVERY = 0.01, 0.0
    registry.reset()
    router.forget()
    yield
    registry.reset()
    router.forget()


def made(count: int = 200, **options: Any) -> Campaign:
    account = AccountFactory()
    SenderIdFactory(account=account)
    campaign = make_campaign(account, count, sender_id="DemoShop", **options)
    while expand_ready():
        pass
    return campaign


def state_of(campaign: Campaign) -> tuple[str, str]:
    campaign.refresh_from_db()
    return campaign.status, campaign.pause_reason


PAUSED = (CampaignStatus.PAUSED, PauseReason.MESSAGES_REFUSED)
COMPLETED = (CampaignStatus.COMPLETED, "")


def opened() -> Call:
    (batch,) = lease(Lane.CAMPAIGNS, 1)
    call = opened_of(batch)
    assert call is not None
    return call


# --- by whole calls --------------------------------------------------------------------------------------------------


def test_a_request_that_is_always_wrong_pauses_the_campaign_with_the_reason(simulator: Any) -> None:
    simulator.set_faults(refuse_400=1.0)
    campaign = made()
    send()
    assert state_of(campaign) == PAUSED
    assert "HTTP 400" in campaign.status_detail
    assert statuses() == {"rejected": LIMIT, "queued": 200 - LIMIT}
    assert Attempt.objects.count() == 7 + LIMIT, "the halves of 200, then single messages"
    assert_counted(campaign)
    send()
    assert Attempt.objects.count() == 7 + LIMIT
    simulator.set_faults()
    campaign_services.resume(campaign, campaign.user)
    send()
    assert statuses() == {"rejected": LIMIT, "sent": 200 - LIMIT}


def test_who_resumes_it_in_vain_loses_as_many_again_and_no_more(simulator: Any) -> None:
    simulator.set_faults(refuse_400=1.0)
    campaign = made()
    send()
    campaign_services.resume(Campaign.objects.get(), campaign.user)
    send()
    assert (state_of(campaign), statuses()["rejected"]) == (PAUSED, 2 * LIMIT)


def test_batches_of_a_campaign_are_counted_together(simulator: Any, settings: Any) -> None:
    settings.BATCH_SIZE = 1
    simulator.set_faults(refuse_400=1.0)
    campaign = made(60)
    for _ in range(30):
        for batch in lease(Lane.CAMPAIGNS, 1):
            if call := opened_of(batch):
                record.record(make_call(call))
    assert (state_of(campaign), statuses()) == (PAUSED, {"rejected": LIMIT, "queued": 60 - LIMIT})


def test_what_is_taken_in_between_begins_the_row_anew(simulator: Any) -> None:
    campaign = made(4 * LIMIT)
    Batch.objects.update(call_size=1)
    for number in range(4 * LIMIT):
        simulator.set_faults(refuse_400=0.0 if number % LIMIT == LIMIT - 1 else 1.0)
        record.record(make_call(opened()))
        Batch.objects.update(call_size=1)
    assert state_of(campaign) == COMPLETED
    assert statuses() == {"rejected": 4 * (LIMIT - 1), "sent": 4}


def test_another_reason_begins_the_row_anew() -> None:
    made(50)
    call = opened()
    for number in range(5 * LIMIT):
        report = Report("m", S.REJECTED, Reason.PROVIDER_REFUSED, provider_status=f"HTTP {400 + number // 5}")
        assert refusals.count(call, [report]) is None
    assert RefusalRow.objects.get().count == 5


def test_what_another_gateway_takes_does_not_end_the_row(simulator: Any, settings: Any) -> None:
    """It refuses all that it gets of the campaign; numbers of another prefix go elsewhere and are taken."""
    settings.BATCH_SIZE = 25
    made(50)
    call = opened()
    other = Batch.objects.exclude(pk=call.batch.pk).get()
    Batch.objects.filter(pk=other.pk).update(gateway="elsewhere")
    report = Report("m", S.REJECTED, Reason.PROVIDER_REFUSED, provider_status="HTTP 400")
    for number in range(LIMIT):
        Batch.objects.filter(pk=other.pk).update(sent=number)
        found = refusals.count(call, [report])
    assert found == (call.batch.campaign_id, "HTTP 400")


def test_the_count_outlives_a_worker_that_dies_before_it_pauses(simulator: Any, monkeypatch: Any) -> None:
    simulator.set_faults(refuse_400=1.0)
    campaign = made(50)
    Batch.objects.update(call_size=1)

    def die(refusal: refusals.Refusal) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(refusals, "pause", die)
        for number in range(LIMIT):
            result = make_call(opened())
            if number == LIMIT - 1:
                with pytest.raises(KeyboardInterrupt):
                    record.record(result)
            else:
                record.record(result)
    assert state_of(campaign) == (CampaignStatus.RUNNING, "")
    send()
    assert (state_of(campaign), statuses()["rejected"]) == (PAUSED, LIMIT + 1)


def test_without_a_limit_each_is_rejected_by_itself(simulator: Any, settings: Any) -> None:
    settings.REFUSALS_BEFORE_PAUSE = 0
    simulator.set_faults(refuse_400=1.0)
    campaign = made(15)
    send()
    assert (state_of(campaign), statuses()) == (COMPLETED, {"rejected": 15})


def test_a_single_send_with_a_wrong_number_is_rejected(simulator: Any) -> None:
    simulator.set_faults(refuse_400=1.0)
    membership = MembershipFactory()
    for phone in phones(LIMIT + 2):
        send_single(membership.account, membership.user, CampaignRequest(kind="single", message="Hi"), [phone])
    for _ in range(LIMIT + 2):
        dispatch.dispatch_ready(Lane.SINGLES, seconds=2)
    assert statuses() == {"rejected": LIMIT + 2}
    assert set(Campaign.objects.values_list("status", flat=True)) == {CampaignStatus.COMPLETED}
    assert not RefusalRow.objects.exists()


# --- message by message, inside an answered call ---------------------------------------------------------------------


def by_http(url: str, **rules: Any) -> None:
    rules = {"url": f"{url}/send", "body": {"to": "{to}", "text": "{text}"}} | rules
    Gateway.objects.create(name="pigeon", kind=GatewayKind.HTTP, rules=rules, **in_use())


def by_twilio(url: str) -> None:
    row = Gateway(name="twilio", kind=GatewayKind.TWILIO, base_url=url, **in_use())
    row.secrets = {"account_sid": "AC" + "2" * 32, "auth_token": "token"}
    row.save()


def test_a_custom_gateway_that_refuses_every_request_pauses_the_campaign() -> None:
    with raw_server(answering(400)) as server:
        by_http(server.url)
        campaign = made()
        send()
    assert state_of(campaign) == PAUSED
    assert "The provider answered HTTP 400" in campaign.status_detail
    assert LIMIT <= statuses()["rejected"] <= 2 * LIMIT
    assert len(server.requests) == statuses()["rejected"]
    assert_counted(campaign)


def test_a_custom_gateway_that_says_so_in_its_answers_pauses_the_campaign() -> None:
    with raw_server(answering(200, orjson.dumps({"state": "no", "why": "no such sender"}))) as server:
        by_http(server.url, status_path="state", error_path="why", statuses={"no": "rejected"})
        campaign = made()
        send()
    assert state_of(campaign) == PAUSED
    assert "no such sender" in campaign.status_detail


def test_a_reason_that_names_each_recipient_is_one_reason() -> None:
    def refuse(connection: socket.socket, request: bytes) -> None:
        to = orjson.loads(request.partition(b"\r\n\r\n")[2])["to"]
        why = f"sender DemoShop is not registered for {to} (request {10**9 + hash(to) % 10**9})"
        answering(200, orjson.dumps({"state": "no", "why": why}))(connection, request)

    with raw_server(refuse) as server:
        by_http(server.url, status_path="state", error_path="why", statuses={"no": "rejected"})
        campaign = made()
        send()
    assert state_of(campaign) == PAUSED
    assert "not registered for +" in campaign.status_detail


def test_twilio_that_refuses_every_message_pauses_the_campaign() -> None:
    with raw_server(answering(400, orjson.dumps({"code": 21408}))) as server:
        by_twilio(server.url)
        campaign = made()
        send()
    assert state_of(campaign) == PAUSED
    assert "21408" in campaign.status_detail
    assert LIMIT <= statuses()["rejected"] <= 2 * LIMIT


def test_a_list_of_wrong_numbers_pauses_nothing() -> None:
    with raw_server(answering(400, orjson.dumps({"code": 21211}))) as server:
        by_twilio(server.url)
        campaign = made(30)
        send()
    assert (state_of(campaign), statuses()) == (COMPLETED, {"rejected": 30})


def test_an_answer_that_takes_some_is_no_row(simulator: Any) -> None:
    made(50)
    call = opened()
    reports = [Report(f"m{n}", S.REJECTED, Reason.PROVIDER_REFUSED) for n in range(LIMIT)]
    assert refusals.count(call, [*reports, Report("m", S.SENT, is_repeated=True)]) is None
    assert refusals.count(call, reports) is not None


def test_an_answer_that_takes_asks_nothing_more(simulator: Any, django_assert_num_queries: Any) -> None:
    made(3)
    call = opened()
    result = make_call(call)
    with django_assert_num_queries(0):
        assert record._refusal_in(result) is None


# --- our account -----------------------------------------------------------------------------------------------------


def refuse(call: Call) -> None:
    record.record(Result(call, error=Refused("HTTP 401", 401, is_account=True)))


def test_a_refused_account_amid_successes_is_tried_again(simulator: Any) -> None:
    campaign = made(20)
    Batch.objects.update(call_size=5)
    record.record(make_call(opened()))
    Batch.objects.update(call_size=5)
    refuse(opened())
    assert (state_of(campaign)[0], statuses()) == (CampaignStatus.RUNNING, {"sent": 5, "queued": 15})
    eventually(lambda: (state_of(campaign), statuses()) == (COMPLETED, {"sent": 20}), send)
    assert_counted(campaign)


def test_an_account_that_stays_refused_pauses_the_campaign_and_fails_nothing(simulator: Any, settings: Any) -> None:
    campaign = made(20)
    Batch.objects.update(call_size=5)
    record.record(make_call(opened()))
    settings.SIMULATOR_API_KEY = "wrong"
    registry.reset()
    # A task ends while its batch is put off, and the next one goes on.
    eventually(lambda: state_of(campaign) == (CampaignStatus.PAUSED, PauseReason.GATEWAY_REFUSED), send)
    assert statuses() == {"sent": 5, "queued": 15}
    assert Attempt.objects.filter(http_status=401).count() == LIMIT


def fail(call: Call, error: NotSent) -> None:
    record.record(Result(call, error=error))
    Batch.objects.update(next_attempt_at=clock.now())


@pytest.mark.parametrize(
    "other",
    [NotSent("HTTP 429", 429, throttled=True), NotSent("no connection"), Refused("HTTP 403", 403, is_account=True)],
    ids=["too fast", "away", "another reason"],
)
def test_what_was_not_sent_for_another_reason_is_not_counted(simulator: Any, other: NotSent) -> None:
    campaign = made(20)
    Batch.objects.update(call_size=5)
    record.record(make_call(opened()))
    same = Refused("HTTP 401", 401, is_account=True)
    for error in [*[other] * (LIMIT - 1), same, *[other] * (LIMIT - 1), *[same] * (LIMIT - 1)]:
        fail(opened(), error)
        assert state_of(campaign)[0] == CampaignStatus.RUNNING
    fail(opened(), same)
    assert state_of(campaign) == (CampaignStatus.PAUSED, PauseReason.GATEWAY_REFUSED)


def test_an_account_that_was_never_taken_pauses_at_once(simulator: Any) -> None:
    campaign = made(20)
    refuse(opened())
    assert state_of(campaign) == (CampaignStatus.PAUSED, PauseReason.GATEWAY_REFUSED)
    assert Attempt.objects.count() == 1


@pytest.mark.parametrize("segments", ["1", "2"], ids=["as we count them", "as only Twilio counts them"])
def test_a_request_that_is_refused_for_our_account_beside_others_that_are_taken_pauses_nothing(segments: str) -> None:
    answers = iter([401, *[201] * 60])

    def behave(connection: Any, request: bytes) -> None:
        taken = {"sid": f"SM{len(server.requests)}", "status": "queued", "num_segments": segments}
        answering(next(answers), orjson.dumps(taken))(connection, request)

    with raw_server(behave) as server:
        by_twilio(server.url)
        campaign = made(30)
        send()
    assert (state_of(campaign), statuses()) == (COMPLETED, {"sent": 30})
    assert Message.objects.filter(sent_at=None).count() == 0
