"""Events out: signed, at least once, on the schedule, and no endpoint in the way of another."""

import hashlib
import hmac
import os
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.choices import EventType, WebhookState
from accounts.models import AuditEvent, Membership, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from accounts.webhooks import claims, delivery, emit, endpoints, signing, transport
from smsapp.core import purge
from smsapp.core.exceptions import AlreadyExists, InvalidState
from tests.support.factories import MembershipFactory
from tests.support.servers.receivers import Receiver, answers, drips, running_receiver, sleeps

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
START = datetime(2027, 1, 1, tzinfo=UTC)


class Clock:
    """The time by which events are due; it stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    for name in ("now", "about_now"):
        monkeypatch.setattr(f"smsapp.core.clock.{name}", stopped)
    return stopped


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOW_LOCAL = True
    with running_receiver() as running:
        yield running


@pytest.fixture
def member() -> Membership:
    return MembershipFactory()


@pytest.fixture
def endpoint(receiver: Receiver, member: Membership) -> WebhookEndpoint:
    return make(member, receiver.url())


def make(member: Membership, url: str, **options: Any) -> WebhookEndpoint:
    return endpoints.create(member.account, "live", member.user, url, **options)[0]


def tell(endpoint: WebhookEndpoint, number: int = 1) -> WebhookDelivery:
    emit(endpoint.account_id, endpoint.mode, EventType.CAMPAIGN_STARTED, {"number": number})
    return WebhookDelivery.objects.filter(endpoint=endpoint).latest("pk")


def move_on(clock: Clock, by: timedelta) -> None:
    """Deliver as the time goes by."""
    end = clock.now + by
    delivery.deliver_due()
    while clock.now < end:
        waiting = WebhookDelivery.objects.filter(state=WebhookState.WAITING)
        due = waiting.filter(next_attempt_at__gt=clock.now).order_by("next_attempt_at").first()
        slow = WebhookEndpoint.objects.filter(slow_until__gt=clock.now).order_by("slow_until").first()
        times = [due and due.next_attempt_at, slow and slow.slow_until, end]
        clock.now = min(moment for moment in times if moment)
        delivery.deliver_due()


# --- Who is told, and what -------------------------------------------------------------------------------


def test_an_event_arrives_signed_and_once(receiver: Receiver, member: Membership) -> None:
    endpoint, secret = endpoints.create(member.account, "live", member.user, receiver.url())
    row = tell(endpoint)
    assert delivery.deliver_due() == 1
    assert delivery.deliver_due() == 0
    (received,) = receiver.received
    Webhook(secret).verify(received.body, received.headers)
    assert received.json["type"] == "campaign.started"
    assert received.json["data"] == {"number": 1}
    assert received.event_id == row.event_id
    row.refresh_from_db()
    assert (row.state, row.attempt_count, row.last_status) == (WebhookState.DELIVERED, 1, 200)
    assert row.attempts.get().http_status == 200


def test_a_signature_is_what_the_specification_says() -> None:
    secret, at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", datetime(2021, 2, 1, 9, 0, 0, 999_000, tzinfo=UTC)
    found = signing.headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}')
    signed = f"msg_p5jXN8AQM9LWM0D4loKWxJek.{found['webhook-timestamp']}.".encode() + b'{"test": 2432232314}'
    by_hand = hmac.new(b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), signed, hashlib.sha256).digest()
    assert found["webhook-timestamp"] == "1612170000"
    assert found["webhook-signature"] == f"v1,{b64encode(by_hand).decode()}"


def test_a_changed_body_or_another_secret_is_found_out(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    tell(endpoint)
    delivery.deliver_due()
    (received,) = receiver.received
    (secret,) = endpoints.signing_secrets(endpoint)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(received.body.replace("1", "2"), received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.new_secret()).verify(received.body, received.headers)


def test_after_a_rotation_both_secrets_sign_for_a_day(
    receiver: Receiver, member: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, old = endpoints.create(member.account, "live", member.user, receiver.url())
    endpoint, new = endpoints.rotate_secret(endpoint, member.user)
    tell(endpoint)
    delivery.deliver_due()
    (received,) = receiver.received
    for secret in (old, new):
        Webhook(secret).verify(received.body, received.headers)
    WebhookEndpoint.objects.update(old_secret_until=timezone.now())
    tell(endpoint)
    delivery.deliver_due()
    Webhook(new).verify(receiver.received[1].body, receiver.received[1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(receiver.received[1].body, receiver.received[1].headers)


def test_only_who_asked_for_it_is_told(receiver: Receiver, member: Membership) -> None:
    wanted = make(member, receiver.url("/wanted"), event_types=["campaign.started"])
    make(member, receiver.url("/other"), event_types=["campaign.paused"])
    stranger = make(MembershipFactory(), receiver.url("/stranger"))
    endpoints.create(member.account, "test", member.user, receiver.url("/test"))
    endpoints.use_callback(member.account, "live", receiver.url("/callback"))
    tell(wanted)
    delivery.deliver_due()
    assert [one.path for one in receiver.received] == ["/wanted"]
    assert not stranger.deliveries.exists()


def test_where_nobody_listens_an_event_costs_one_query(member: Membership, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        emit(member.account_id, "live", EventType.BALANCE_LOW, {})
    assert not WebhookDelivery.objects.exists()


def test_what_is_rolled_back_is_not_told(endpoint: WebhookEndpoint, receiver: Receiver) -> None:
    with transaction.atomic():
        tell(endpoint)
        transaction.set_rollback(True)
    assert delivery.deliver_due() == 0


# --- Failures --------------------------------------------------------------------------------------------


def test_tries_keep_to_the_schedule(clock: Clock, receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    receiver.acts["/"] = answers(500)
    row = tell(endpoint)
    move_on(clock, 130 * HOUR)
    row.refresh_from_db()
    assert row.state == WebhookState.FAILED
    times = [row.created_at, *row.attempts.order_by("pk").values_list("started_at", flat=True)]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert len(waits) >= 10
    assert waits[0] < timedelta(seconds=1)
    for wait, delay in zip(waits[1:], delivery.DELAYS, strict=False):
        assert delay * 0.79 <= wait <= delay * 1.21 + timedelta(minutes=6)
    assert times[-1] - times[0] >= delivery.GIVE_UP_AFTER
    assert {one.event_id for one in receiver.received} == {row.event_id}
    assert len({one.headers["webhook-timestamp"] for one in receiver.received}) == len(receiver.received)


def test_what_was_down_for_75_hours_gets_its_event(clock: Clock, receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    receiver.acts["/"] = answers(503)
    row = tell(endpoint)
    move_on(clock, 75 * HOUR)
    receiver.acts["/"] = answers(200)
    move_on(clock, 40 * HOUR)
    row.refresh_from_db()
    endpoint.refresh_from_db()
    assert row.state == WebhookState.DELIVERED
    assert (endpoint.failing_since, endpoint.failure_count, endpoint.slow_until) == (None, 0, None)


def test_after_a_day_the_account_is_told_and_after_three_the_endpoint_is_off(
    clock: Clock, receiver: Receiver, member: Membership
) -> None:
    broken = make(member, receiver.url("/broken"))
    healthy = make(member, receiver.url("/healthy"), event_types=["endpoint.disabled"])
    receiver.acts["/broken"] = answers(500)
    for number in range(5):
        tell(broken, number)
    move_on(clock, 23 * HOUR)
    assert not AuditEvent.objects.filter(action="webhook.failing").exists()
    move_on(clock, 20 * HOUR)
    assert AuditEvent.objects.filter(action="webhook.failing").count() == 1
    broken.refresh_from_db()
    assert broken.is_active
    move_on(clock, 57 * HOUR)
    broken.refresh_from_db()
    assert not broken.is_active
    assert not broken.deliveries.filter(state=WebhookState.WAITING).exists()
    assert AuditEvent.objects.filter(action="webhook.disabled").count() == 1
    (told,) = [one.json for one in receiver.received if one.path == "/healthy"]
    assert told["type"] == "endpoint.disabled"
    assert told["data"]["endpoint_id"] == broken.endpoint_id
    assert healthy.deliveries.count() == 1
    emit(broken.account_id, "live", EventType.CAMPAIGN_PAUSED, {})
    assert broken.deliveries.filter(event_type="campaign.paused").count() == 0


def test_nobody_is_switched_off_before_twenty_tries(
    clock: Clock, receiver: Receiver, endpoint: WebhookEndpoint
) -> None:
    receiver.acts["/"] = answers(500)
    tell(endpoint)
    move_on(clock, 80 * HOUR)
    endpoint.refresh_from_db()
    assert endpoint.is_active


def test_what_was_switched_off_is_replayed_in_full(
    clock: Clock, receiver: Receiver, member: Membership, endpoint: WebhookEndpoint
) -> None:
    receiver.acts["/"] = answers(500)
    events = {tell(endpoint, number).event_id for number in range(25)}
    move_on(clock, 110 * HOUR)
    endpoint.refresh_from_db()
    assert not endpoint.is_active
    with pytest.raises(InvalidState):
        endpoints.replay_failed(endpoint, member.user, START)
    receiver.acts["/"] = answers(200)
    receiver.received.clear()
    endpoint = endpoints.enable(endpoint, member.user)
    assert endpoints.replay_failed(endpoint, member.user, START) == 25
    assert endpoints.replay_failed(endpoint, member.user, START) == 0
    due = Counter(endpoint.deliveries.values_list("next_attempt_at", flat=True))
    assert max(due.values()) == endpoints.REPLAYS_A_SECOND
    move_on(clock, timedelta(seconds=5))
    assert Counter(one.event_id for one in receiver.received) == Counter(events)


def test_gone_is_switched_off_at_once(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    receiver.acts["/"] = answers(410)
    row, other = tell(endpoint), tell(endpoint)
    delivery.deliver_due()
    endpoint.refresh_from_db()
    row.refresh_from_db()
    other.refresh_from_db()
    assert not endpoint.is_active
    assert {row.state, other.state} == {WebhookState.FAILED}


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_that_is_asked_for_is_kept(
    clock: Clock, receiver: Receiver, endpoint: WebhookEndpoint, status: int
) -> None:
    receiver.acts["/"] = answers(status, Retry_After="3600")
    tell(endpoint)
    tell(endpoint)
    delivery.deliver_due()
    seen = len(receiver.received)
    receiver.acts["/"] = answers(200)
    tell(endpoint)
    move_on(clock, timedelta(minutes=59))
    assert len(receiver.received) == seen
    move_on(clock, timedelta(minutes=10))
    assert not endpoint.deliveries.filter(state=WebhookState.WAITING).exists()


def test_a_secret_that_cannot_be_read_fails_the_try_and_stops_nothing_else(
    receiver: Receiver, member: Membership
) -> None:
    unreadable, healthy = make(member, receiver.url("/a")), make(member, receiver.url("/b"))
    WebhookEndpoint.objects.filter(pk=unreadable.pk).update(secret="gAAAA")
    tell(healthy)
    delivery.deliver_due()
    assert [one.path for one in receiver.received] == ["/b"]
    assert WebhookAttempt.objects.get(delivery__endpoint=unreadable).error.startswith("It could not be signed")


def test_an_endpoint_that_is_removed_during_its_call_leaves_nothing(
    receiver: Receiver, member: Membership, endpoint: WebhookEndpoint
) -> None:
    tell(endpoint)
    (claimed,) = claims.claim("test", timezone.now(), 10, Counter())
    endpoints.remove(endpoint, member.user)
    for status in (200, 500):
        delivery.record(delivery.Ended(claimed, transport.Answer(status, 1)))
    assert not WebhookDelivery.objects.exists()
    assert not WebhookAttempt.objects.exists()


# --- Many at once ----------------------------------------------------------------------------------------


def test_no_more_than_four_calls_of_one_endpoint_are_under_way(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    receiver.acts["/"] = sleeps(0.02)
    for number in range(30):
        tell(endpoint, number)
    assert delivery.deliver_due() == 30
    assert 1 < receiver.most_at_once <= claims.IN_FLIGHT


def test_what_another_process_holds_is_counted(endpoint: WebhookEndpoint) -> None:
    for number in range(10):
        tell(endpoint, number)
    now = timezone.now()
    held = [len(claims.claim(owner, now, 100, Counter())) for owner in ("a", "b")]
    assert held == [4, 0]
    later = now + claims.LEASE + timedelta(seconds=1)
    assert len(claims.claim("c", later, 100, Counter())) == 4


def test_endpoints_of_one_host_share_its_room(receiver: Receiver, member: Membership) -> None:
    for number in range(8):
        tell(make(member, receiver.url(f"/{number}")))
    now = timezone.now()
    assert len(claims.claim("a", now, 100, Counter())) == claims.IN_FLIGHT_OF_HOST
    assert claims.claim("b", now, 100, Counter({"127.0.0.1": claims.IN_FLIGHT_OF_HOST})) == []


def test_endpoints_that_drip_hold_up_nobody_else(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TIMEOUT", 4.0)
    monkeypatch.setattr(claims, "IN_FLIGHT_OF_HOST", 1000)  # here all of them are one host
    for number in range(20):
        dripping = make(MembershipFactory(), receiver.url(f"/drip/{number}"))
        receiver.acts[f"/drip/{number}"] = drips
        for _ in range(10):
            tell(dripping)
    healthy = make(MembershipFactory(), receiver.url("/healthy"))
    for number in range(20):
        tell(healthy, number)
    began = timezone.now()
    delivery.deliver_due(seconds=3.0)
    arrived = healthy.deliveries.filter(state=WebhookState.DELIVERED).values_list("delivered_at", flat=True)
    assert len(arrived) == 20
    assert max(arrived) - began < timedelta(seconds=3.9)  # before the first of the others has ended
    assert WebhookDelivery.objects.filter(state=WebhookState.WAITING).count() == 200


def test_claiming_costs_the_same_however_much_waits(
    receiver: Receiver, endpoint: WebhookEndpoint, django_assert_num_queries: Any
) -> None:
    for number in range(50):
        tell(endpoint, number)
    with django_assert_num_queries(8):  # two of them open and close the savepoint
        claims.claim("a", timezone.now(), 100, Counter())


@pytest.mark.long
@pytest.mark.postgresql
@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_whatever_is_killed_every_event_arrives(receiver: Receiver, settings: Any) -> None:
    receivers = [make(MembershipFactory(), receiver.url(f"/{number}")) for number in range(6)]
    for endpoint in receivers:
        receiver.acts[f"/{endpoint.pk}"] = sleeps(0.01)
        for number in range(60):
            tell(endpoint, number)
    target = connection.settings_dict
    url = f"postgres://{quote(target['USER'])}:{quote(target['PASSWORD'])}@{target['HOST']}:{target['PORT']}/{target['NAME']}"
    env = os.environ | {
        "DATABASE_URL": url,
        "WEBHOOK_ALLOW_LOCAL": "1",
        "DJANGO_SETTINGS_MODULE": "smsapp.settings.test",
        "VAR_DIR": str(django_settings.VAR_DIR),
        "REDIS_KEY_PREFIX": django_settings.REDIS_KEY_PREFIX,
        "ENCRYPTION_KEYS": "k" * 40,
    }
    settings.ENCRYPTION_KEYS = ["k" * 40]
    for endpoint in receivers:
        secret = signing.new_secret()
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(secret=endpoints.encrypt(secret))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.servers.deliverers", "15", "1"],
        env=env,
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) >= 5, f"too few were killed in {time.monotonic() - began:.1f} s"
    rows = {row.event_id: row for row in WebhookDelivery.objects.select_related("endpoint__account")}
    assert {row.state for row in rows.values()} == {WebhookState.DELIVERED}
    assert {one.event_id for one in receiver.received} == set(rows)
    for one in receiver.received:
        (secret,) = endpoints.signing_secrets(rows[one.event_id].endpoint)
        Webhook(secret).verify(one.body, one.headers)


# --- Endpoints -------------------------------------------------------------------------------------------


def test_an_account_has_ten_endpoints_in_each_mode(receiver: Receiver, member: Membership) -> None:
    for number in range(10):
        make(member, receiver.url(f"/{number}"))
    with pytest.raises(InvalidState):
        make(member, receiver.url("/11"))
    endpoints.create(member.account, "test", member.user, receiver.url("/11"))
    endpoints.use_callback(member.account, "live", receiver.url("/12"))
    assert WebhookEndpoint.objects.count() == 12


def test_one_address_is_one_endpoint(member: Membership, endpoint: WebhookEndpoint) -> None:
    with pytest.raises(AlreadyExists):
        make(member, endpoint.url)
    assert WebhookEndpoint.objects.count() == 1


def test_a_callback_url_that_was_switched_off_is_on_again_with_the_next_send(
    receiver: Receiver, member: Membership
) -> None:
    endpoints.use_callback(member.account, "live", receiver.url())
    row = WebhookEndpoint.objects.get()
    delivery.disable(row, "It answered 410 Gone.", timezone.now())
    endpoints.use_callback(member.account, "live", receiver.url())
    row.refresh_from_db()
    assert (row.is_active, row.disabled_reason) == (True, "")


def test_events_are_kept_for_thirty_days(endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "SLICE", 2)
    rows = [tell(endpoint, number) for number in range(5)]
    delivery.deliver_due()
    now = timezone.now()
    WebhookDelivery.objects.filter(pk__in=[row.pk for row in rows[:4]]).update(created_at=now - 31 * 24 * HOUR)
    assert endpoints.purge_events(now).removed == 4
    assert list(WebhookDelivery.objects.values_list("pk", flat=True)) == [rows[4].pk]
    assert WebhookAttempt.objects.count() == 1
