"""The customer's server takes what is signed, fails first tries only, and misses what was not said."""

from collections.abc import Iterator

import httpx2
import pytest
from django.utils import timezone

from accounts.models import WebhookEndpoint
from accounts.webhooks import signing
from accounts.webhooks.endpoints import signing_secrets
from messaging.choices import MessageStatus
from tests.chaos.oracle import Row
from tests.chaos.webhooks import FORGED, TAKEN, Listener, Told, undelivered, unheard
from tests.support.factories import MembershipFactory

S = MessageStatus
ROW = Row(1024, "a", 1, "49151", S.DELIVERED, "")
BODY = (
    '{"type": "message.status", "data": {"messages": ['
    '{"message_id": "a", "sequence": 2, "status": "SENT"}, {"message_id": "a", "sequence": 5, "status": "DELIVERED"}]}}'
)


@pytest.fixture
def listener(db: None, settings) -> Iterator[Listener]:
    settings.WEBHOOK_ALLOW_LOCAL = True
    listener = Listener()
    listener.start(MembershipFactory().account.name)
    yield listener
    listener.stop()


def call(listener: Listener, event_id: str, body: str = BODY, sent: str = "") -> int:
    """The status of the answer, 0 for none. `body` is signed, and `sent` is sent in its place, if it is given."""
    headers = signing.headers(signing_secrets(WebhookEndpoint.objects.get()), event_id, timezone.now(), body)
    try:
        return httpx2.post(listener.url, content=sent or body, headers=headers, trust_env=False).status_code
    except httpx2.TransportError:
        return 0


def test_only_first_tries_fail_and_only_now_and_then(listener):
    assert [call(listener, "first") for _ in range(3)] == [500, 200, 200]
    assert call(listener, "second") == 200
    listener.calm()
    assert call(listener, "third") == 200
    assert listener.calls == {"500": 1, TAKEN: 4}


def test_what_was_answered_well_is_kept_and_nothing_else(listener):
    call(listener, "first")
    assert listener.told == {}
    call(listener, "first")
    assert listener.told == {"a": {Told(2, "SENT"), Told(5, "DELIVERED")}}


def test_a_body_that_was_not_signed_is_told_from_the_others(listener):
    assert call(listener, "first", sent=BODY.replace("DELIVERED", "UNDELIVERED")) == 400
    assert (listener.told, listener.calls) == ({}, {FORGED: 1})


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({Told(2, "SENT"), Told(5, "DELIVERED")}, 0),
        ({Told(4, "UNDELIVERED"), Told(5, "DELIVERED")}, 0),
        ({Told(2, "SENT")}, 1),
        ({Told(5, "DELIVERED"), Told(5, "UNDELIVERED")}, 1),
        (set(), 1),
    ],
)
def test_the_highest_sequence_is_what_a_message_has_become(told, found):
    assert len(unheard([ROW], {"a": told} if told else {})) == found


def test_an_event_that_waits_is_lost(listener):
    endpoint = WebhookEndpoint.objects.get()
    endpoint.deliveries.create(event_id="evt_1", event_type="message.status", body=BODY)
    assert [finding.text for finding in undelivered(listener)] == [
        "webhook message.status evt_1 is waiting after 0 tries"
    ]
