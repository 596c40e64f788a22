"""Every event is what the API's document says of its type: compared with what is really sent."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from accounts import suspension
from accounts.billing import credit, quota
from accounts.choices import EventType
from accounts.models import Account, WebhookEndpoint
from accounts.webhooks import delivery, endpoints
from campaigns import services as campaign_services
from messaging.choices import FactSource, MessageStatus, Reason
from messaging.gateways.base import Inbound, Report
from messaging.inbound import replies
from messaging.models import Message
from messaging.outcomes import settlement
from messaging.sending.expansion import expand_ready
from tests.support.factories import MembershipFactory, SenderIdFactory, make_campaign, phones
from uploads.files.reading import read_upload
from uploads.services import accept_upload

pytestmark = pytest.mark.django_db

OURS = "+4915799912345"
EUR = 1_000_000


class World:
    """An account that listens to everything."""

    def __init__(self) -> None:
        self.member = MembershipFactory()
        self.account, self.user = self.member.account, self.member.user
        self.endpoint = self.listen(1)

    def listen(self, number: int) -> WebhookEndpoint:
        return endpoints.create(self.account, "live", self.user, f"http://127.0.0.1:1/{number}")[0]

    def change(self, **values: Any) -> Account:
        Account.objects.filter(pk=self.account.pk).update(**values)
        self.account.refresh_from_db()
        return self.account

    def upload(self, content: bytes) -> None:
        upload = accept_upload(self.account, self.user, SimpleUploadedFile("people.txt", content))
        read_upload(upload.pk, "test")

    def text_us(self, text: str, keyword: str) -> None:
        sender = SenderIdFactory(account=self.account, value=OURS, kind="number")
        message = Inbound("ref-1", phones(1)[0], sender.value, text, keyword, 1, timezone.now())
        assert replies.receive("simulator", [message]) == 1


def results(world: World) -> None:
    """Taken, delivered, failed, corrected, closed without proof."""
    make_campaign(world.account, 3)
    expand_ready()
    first, second, third = Message.objects.order_by("pk")
    settlement.apply([], accepted=[first.pk])
    for message, status, reason in (
        (first, MessageStatus.UNDELIVERED, Reason.UNREACHABLE),
        (first, MessageStatus.DELIVERED, Reason.NONE),
        (second, MessageStatus.REJECTED, Reason.RECIPIENT_REFUSED),
        (third, MessageStatus.UNCONFIRMED, Reason.NO_RECEIPT),
    ):
        facts, _ = settlement.facts_from(
            [Report(message.message_id, status, reason=reason, error_code="27")], FactSource.PUSH
        )
        settlement.apply(facts)


def completed(world: World) -> None:
    make_campaign(world.account, 2)
    expand_ready()
    settlement.apply([], accepted=[message.pk for message in Message.objects.all()])


def paused(world: World) -> None:
    campaign_services.pause(make_campaign(world.account, 2, client_reference="a-1"), world.user)


def cancelled(world: World) -> None:
    campaign_services.cancel(make_campaign(world.account, 2), world.user)


def balance_low(world: World) -> None:
    account = world.change(is_metered=True, currency="EUR", low_balance_micro=5 * EUR)
    credit.top_up(account, 10 * EUR, "invoice 7", None)
    credit.reserve(account, 6 * EUR)


def spend_alert(world: World) -> None:
    quota.spend(world.change(daily_spend_limit_micro=10 * EUR, currency="EUR"), 9 * EUR)


def disabled(world: World) -> None:
    delivery.disable(world.listen(2), "It answered 410 Gone.", timezone.now())


EMITTED: dict[str, Callable[[World], object]] = {
    "message.status": results,
    "campaign.started": lambda world: make_campaign(world.account, 2),
    "campaign.paused": paused,
    "campaign.completed": completed,
    "campaign.cancelled": cancelled,
    "upload.completed": lambda world: world.upload("\n".join(phones(3)).encode()),
    "upload.failed": lambda world: world.upload(b"phone\n+49301234567\n"),
    "balance.low": balance_low,
    "inbound.received": lambda world: world.text_us("When do you open?", ""),
    "optout.received": lambda world: world.text_us("STOP", "STOP"),
    "account.held": lambda world: suspension.suspend_for(world.account, "It sent too much."),
    "spend.alert": spend_alert,
    "endpoint.disabled": disabled,
    "ping": lambda world: endpoints.ping(world.endpoint, world.user),
}


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(json.dumps(SchemaGenerator().get_schema(public=True)))


def strict(part: Any) -> Any:
    """The same schemas, which take no property that they do not name."""
    if isinstance(part, list):
        return [strict(one) for one in part]
    if not isinstance(part, dict):
        return part
    closed = {"additionalProperties": False} if isinstance(part.get("properties"), dict) and "type" in part else {}
    return {name: strict(one) for name, one in part.items()} | closed


@pytest.mark.parametrize("event_type", EMITTED)
def test_an_event_is_sent_as_it_is_documented(event_type: str, document: Any, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    world = World()
    EMITTED[event_type](world)
    bodies = [orjson.loads(row.body) for row in world.endpoint.deliveries.filter(event_type=event_type)]
    assert bodies
    content = document["webhooks"][event_type]["post"]["requestBody"]["content"]["application/json"]
    one = Draft202012Validator({**content["schema"], "components": strict(document["components"])})
    any_of_them = Draft202012Validator(
        {"$ref": "#/components/schemas/WebhookEvent", "components": strict(document["components"])}
    )
    for body in bodies:
        one.validate(body)
        any_of_them.validate(body)
        assert body["type"] == event_type
    one.validate(content["example"])


def test_every_event_is_looked_at(document: Any) -> None:
    grouped = {kind.value for kind in EventType if kind.value.startswith("message.")}
    assert set(EMITTED) == set(document["webhooks"]) == set(EventType.values) - grouped | {"message.status"}


def test_every_event_of_a_message_is_told(document: Any, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    world = World()
    results(world)
    bodies = [orjson.loads(row.body) for row in world.endpoint.deliveries.filter(event_type="message.status")]
    told = {message["event"] for body in bodies for message in body["data"]["messages"]}
    assert told == {
        "message.accepted",
        "message.undelivered",
        "message.corrected",
        "message.failed",
        "message.unconfirmed",
    }
