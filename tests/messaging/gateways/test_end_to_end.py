"""Gateways of the console from end to end: set up, tried, sent by, reported to, measured."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from django.test import Client
from django.utils import timezone
from twilio.request_validator import RequestValidator

from accounts.choices import Mode
from accounts.models import AuditEvent
from messaging.choices import AttemptState, GatewayKind, Lane, MessageStatus, Reason
from messaging.gateways import registry
from messaging.models import (
    Attempt,
    Batch,
    Gateway,
    InboundMessage,
    Message,
    ProviderReference,
    ReportInbox,
    RouteHealth,
)
from messaging.outcomes import reconciliation, report_inbox
from messaging.outcomes.lookups import Allowance
from messaging.routing import gateway_health, router
from smsapp.core import clock
from tests.support.builders import ACCOUNT, TOKEN, make_twilio, sent_campaign
from tests.support.factories import AccountFactory, SenderIdFactory, in_use, make_campaign
from tests.support.servers.gateways import answering, raw_server
from tests.support.servers.simulators import RunningSimulator, running_simulator

ADD = "/admin/messaging/gateway/add/"
RULES = {
    "url": "http://127.0.0.1:9/send?key={token}",
    "body": {"to": "{to}", "text": "{text}", "cb": "{report_url}"},
    "id_path": "id",
    "report_id_path": "id",
    "report_status_path": "state",
    "statuses": {"arrived": "delivered", "gone": "undelivered"},
}


@pytest.fixture(autouse=True)
def fresh(settings: Any) -> Iterator[None]:
    settings.GATEWAYS_READ_EVERY = 0.0
    registry.reset()
    router.forget()
    yield
    registry.reset()
    router.forget()


@pytest.fixture
def twilio() -> Iterator[RunningSimulator]:
    with running_simulator(undelivered=0.0, rejected=0.0, report_delay_ms=0.0) as running:
        make_twilio(running.url)
        yield running


def make_http(name: str = "pigeon", **rules: Any) -> Gateway:
    row = Gateway(name=name, kind=GatewayKind.HTTP, rules=RULES | rules, **in_use())
    row.secrets = {"token": "t0psecret"}
    row.save()
    return row


@pytest.mark.postgresql  # on SQLite in memory the server's thread would write in the middle of our transactions
@pytest.mark.django_db(transaction=True)
def test_a_campaign_by_twilio_is_delivered_by_its_signed_reports(
    twilio: RunningSimulator, settings: Any, live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    settings.PUBLIC_URL = live_server.url
    campaign = sent_campaign(count=25)
    assert campaign.sent == 25
    assert Attempt.objects.count() == 3, "ten requests at a time"
    assert ProviderReference.objects.count() == 25
    deadline = time.monotonic() + 10
    while Message.objects.exclude(status=MessageStatus.DELIVERED).exists() and time.monotonic() < deadline:
        twilio.flush()
        report_inbox.apply_waiting()
    assert set(Message.objects.values_list("status", flat=True)) == {MessageStatus.DELIVERED}
    assert sorted(twilio.accepted_ids()) == sorted(message.message_id for message in Message.objects.all())


@pytest.mark.django_db
def test_twilio_is_asked_by_its_own_ids_for_reports_that_have_not_come(twilio: RunningSimulator) -> None:
    campaign = sent_campaign(count=3)
    attempt = Attempt.objects.get()
    (answer,) = Allowance().look_up([attempt], MessageStatus.SENT)
    assert answer.conclusive
    assert {report.status for report in answer.reports} == {MessageStatus.DELIVERED}
    assert {report.message_id for report in answer.reports} == {m.message_id for m in campaign.messages.all()}


@pytest.mark.django_db
def test_an_answer_that_twilio_never_gave_is_closed_honestly_or_cleared_up_by_a_report(
    twilio: RunningSimulator, settings: Any
) -> None:
    settings.UNKNOWN_GRACE, settings.UNKNOWN_CLOSE_AFTER, settings.GATEWAY_TIMEOUT = 0.01, 0.2, 1.0
    registry.reset()
    twilio.set_faults(accept_reset=1.0)
    campaign = sent_campaign(count=2)
    assert (campaign.unknown, ProviderReference.objects.count()) == (2, 0)
    first, second = Message.objects.order_by("id")
    push(first.message_id, {"MessageSid": "SM1", "MessageStatus": "delivered"})
    report_inbox.apply_waiting()
    deadline = time.monotonic() + 5
    while Attempt.objects.filter(state=AttemptState.UNKNOWN).exists() and time.monotonic() < deadline:
        reconciliation.reconcile()
        time.sleep(0.05)
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.status == MessageStatus.DELIVERED
    assert (second.status, second.reason) == (MessageStatus.UNCONFIRMED, Reason.NO_PROOF)
    assert len(twilio.accepted_ids()) == 2, "nothing was sent twice"


def push(message_id: str, fields: dict[str, str], name: str = "twilio", signed: str | None = None) -> int:
    path = f"/callbacks/{name}/{registry.callback_token(name)}/{message_id}"
    given = RequestValidator(TOKEN).compute_signature(f"http://testserver{path}", fields) if signed is None else signed
    answer = Client().post(
        path,
        urlencode(fields),
        content_type="application/x-www-form-urlencoded",
        headers={"X-Twilio-Signature": given},
    )
    return answer.status_code


@pytest.mark.django_db
def test_a_forged_or_foreign_report_changes_nothing(twilio: RunningSimulator) -> None:
    campaign = sent_campaign(count=1)
    message = Message.objects.get()
    undelivered = {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30003"}
    assert push(message.message_id, undelivered, signed="x") == 403
    make_http("other")
    other = f"/callbacks/other/{registry.callback_token('other')}/{message.message_id}"
    body = orjson.dumps({"id": "1", "state": "gone"})
    assert Client().post(other, body, content_type="application/json").status_code == 200
    for wrong in (other.replace(registry.callback_token("other"), registry.callback_token("twilio")), other[:-40]):
        assert Client().post(wrong, body, content_type="application/json").status_code == 404
    report_inbox.apply_waiting()
    message.refresh_from_db()
    assert message.status == MessageStatus.SENT, "the other gateway never had it"
    kept = ReportInbox.objects.get()
    assert (kept.unmatched_count, kept.rematch_at) == (1, None)
    assert push(message.message_id, undelivered) == 200
    assert push(message.message_id, undelivered) == 200, "a repetition does no harm"
    report_inbox.apply_waiting()
    campaign.refresh_from_db()
    assert (campaign.undelivered, campaign.sent) == (1, 0)


@pytest.mark.django_db
def test_a_report_by_the_providers_id_waits_until_that_id_is_known() -> None:
    with raw_server(answering(200, b'{"id": "bird-1"}')) as server:
        make_http(url=f"{server.url}/send")
        sent_campaign(count=1)
    reference = ProviderReference.objects.get()
    reference.delete()
    path = f"/callbacks/pigeon/{registry.callback_token('pigeon')}"
    body = orjson.dumps({"id": "bird-1", "state": "arrived"})
    assert Client().post(path, body, content_type="application/json").status_code == 200
    report_inbox.apply_waiting()
    kept = ReportInbox.objects.get()
    assert kept.unmatched_count == 1
    assert kept.rematch_at is not None
    reference.pk = None
    reference.save(force_insert=True)
    ReportInbox.objects.update(rematch_at=clock.now())
    assert report_inbox.rematch() == 1
    assert Message.objects.get().status == MessageStatus.DELIVERED


@pytest.mark.django_db
def test_a_reply_by_twilio_is_kept_for_the_account_that_owns_the_number(twilio: RunningSimulator) -> None:
    account = AccountFactory()
    SenderIdFactory(account=account, value="+15005550006", kind="number")
    fields = {"MessageSid": "SM5", "From": "+491511234567", "To": "+15005550006", "Body": "Thanks"}
    path = f"/callbacks/twilio/{registry.callback_token('twilio')}/inbound"
    signed = RequestValidator(TOKEN).compute_signature(f"http://testserver{path}", fields)
    for _ in range(2):
        answer = Client().post(
            path,
            urlencode(fields),
            content_type="application/x-www-form-urlencoded",
            headers={"X-Twilio-Signature": signed},
        )
        assert (answer.status_code, answer.content) == (200, b"<Response/>")
        assert answer.headers["Content-Type"] == "text/xml"
    assert InboundMessage.objects.get().account == account


# --- the console -----------------------------------------------------------------------------------------------------


def fill_in(admin: Client, **values: Any) -> Any:
    data = {"name": "main", "kind": "twilio", "rules": "{}"} | values
    return admin.post(ADD, data)


@pytest.mark.django_db
def test_an_operator_sets_a_gateway_up_and_never_sees_its_credentials_again(admin_client: Client) -> None:
    answer = fill_in(admin_client, account_sid=ACCOUNT, auth_token="hush-hush", rate="5")
    assert answer.status_code == 302
    row = Gateway.objects.get()
    assert row.secrets == {"account_sid": ACCOUNT, "auth_token": "hush-hush"}
    assert "hush" not in row.credentials
    assert ("main" in registry.names(), registry.get("main").policy.max_batch) == (False, 10)
    setup = registry.setup_of("main")
    assert setup is not None
    assert setup.rate == 5
    page = f"/admin/messaging/gateway/{row.pk}/change/"
    assert "hush-hush" not in admin_client.get(page).content.decode()
    admin_client.post(page, {"rules": "{}", "rate": "7"})
    row.refresh_from_db()
    assert (row.rate, row.secrets["auth_token"]) == (7, "hush-hush"), "what is left empty stays"
    assert "hush" not in str(list(AuditEvent.objects.values()))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "credentials are missing: account_sid, auth_token"),
        ({"kind": "infobip", "api_key": "x"}, "an address of its own"),
        ({"kind": "http"}, "The address is missing"),
        ({"kind": "http", "rules": "[1]"}, "Rules are a JSON object"),
        ({"kind": "http", "rules": "{not json"}, "valid JSON"),
        ({"kind": "http", "rules": '{"url": "https://x.example", "body": {"a": "{txt}"}}'}, "no placeholder {txt}"),
        ({"kind": "http", "rules": "{}", "other_credentials": "just a word"}, "name=value"),
        ({"name": "not a slug!", "account_sid": ACCOUNT, "auth_token": "x"}, "letters, numbers"),
        ({"account_sid": ACCOUNT, "auth_token": "x", "max_batch": "5000"}, "less than or equal to 1000"),
        ({"account_sid": ACCOUNT, "auth_token": "x", "base_url": "ftp://x"}, "valid URL"),
    ],
)
def test_a_set_up_that_cannot_work_is_refused_in_words(admin_client: Client, values: Any, words: str) -> None:
    answer = fill_in(admin_client, **values)
    assert answer.status_code == 200
    assert words in answer.content.decode().replace("&#x27;", "'")
    assert not Gateway.objects.exists()


@pytest.mark.django_db
def test_send_a_test_shows_request_and_answer_without_credentials(admin_client: Client) -> None:
    with raw_server(answering(200, b'{"id": "bird-9", "note": "t0psecret"}')) as server:
        row = make_http(url=f"{server.url}/send?key={{token}}")
        answer = admin_client.post(
            f"/admin/messaging/gateway/{row.pk}/try/", {"phone_number": "+49 1511 2345678", "text": "Hello you"}
        )
    text = answer.content.decode()
    assert "Taken by the provider. Its id there is bird-9." in text
    assert "Hello you" in text
    assert "t0psecret" not in text
    assert b"key=t0psecret" in server.requests[0]
    assert AuditEvent.objects.filter(action="gateway.tried").count() == 1
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_send_a_test_says_what_went_wrong(admin_client: Client, twilio: RunningSimulator) -> None:
    def outcome(row: Gateway, number: str = "+447900999901") -> str:
        page = f"/admin/messaging/gateway/{row.pk}/try/"
        return admin_client.post(page, {"phone_number": number, "text": "Hi", "sender": "SHOP"}).content.decode()

    good = Gateway.objects.get()
    assert "Taken by the provider." in outcome(good)
    assert "no mobile number" in outcome(good, "12")
    assert "The provider refuses this recipient" in outcome(good, "+447900999907")
    bad = make_twilio(twilio.url, "bad")
    bad.secrets = {"account_sid": ACCOUNT, "auth_token": "wrong"}
    bad.save()
    assert "refuses our account SID or token" in outcome(bad)
    assert "Not sent" in outcome(make_twilio("http://127.0.0.1:9", "nobody"))


# --- health ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    campaign = make_campaign()

    def make(gateway: str, prefix: str = "49", **tally: int) -> Batch:
        batch = Batch.objects.create(
            account=campaign.account,
            campaign=campaign,
            chunk=0,
            part=Batch.objects.count(),
            mode=Mode.LIVE,
            turn=0,
            lane=Lane.CAMPAIGNS,
            size=sum(tally.values()),
            gateway=gateway,
            prefix=prefix,
            state="done",
            **tally,
        )
        Batch.objects.filter(pk=batch.pk).update(created_at=timezone.now() - timedelta(minutes=10))
        return batch

    return make


def shares() -> dict[tuple[str, str], int]:
    gateway_health.measure()
    return {(row.gateway, row.prefix): row.share for row in RouteHealth.objects.all()}


@pytest.mark.django_db
def test_a_gateway_that_delivers_less_than_another_there_loses_its_share_step_by_step_and_heals(
    batch_of: Callable[..., Batch],
) -> None:
    batch_of("good", delivered=95, undelivered=5)
    worse = batch_of("worse", delivered=60, undelivered=40)
    batch_of("worse", "44", delivered=60, undelivered=40)
    assert shares() == {("good", "49"): 100, ("worse", "49"): 50, ("worse", "44"): 100}
    assert shares()["worse", "49"] == 25
    assert "60% were delivered, 95% by another gateway" in RouteHealth.objects.get(gateway="worse", prefix="49").detail
    for _ in range(5):
        shares()
    assert shares()["worse", "49"] == gateway_health.LEAST, "never nothing: else it could not heal"
    Batch.objects.filter(pk=worse.pk).update(delivered=95, undelivered=5)
    assert [shares()["worse", "49"] for _ in range(4)] == [30, 55, 80, 100]


@pytest.mark.django_db
def test_slow_reports_and_failing_calls_count_and_few_messages_say_nothing(batch_of: Callable[..., Batch]) -> None:
    batch_of("quick", delivered=95, sent=5)
    batch_of("slow", delivered=60, sent=40)
    batch_of("few", delivered=1, undelivered=9)
    failing = batch_of("failing", "1", queued=100)
    for number in range(6):
        Attempt.objects.create(
            batch=failing,
            gateway="failing",
            reference=f"r{number}",
            epoch=1,
            first=1,
            last=1,
            message_count=1,
            state=AttemptState.NOT_SENT if number else AttemptState.ANSWERED,
            deadline=timezone.now(),
        )
    assert shares() == {("quick", "49"): 100, ("slow", "49"): 50, ("few", "49"): 100, ("failing", "1"): 50}
    Batch.objects.all().delete()
    assert shares()["failing", "1"] == 75, "of which nothing is known any more"
