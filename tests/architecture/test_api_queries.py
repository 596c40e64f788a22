"""What every route of the API asks the database: never more than its row says, and the same for few rows and for many.

Statements are counted as they are sent, BEGIN, COMMIT and savepoints among them. A new route: one line in ROWS.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.access import tokens
from accounts.choices import LedgerKind
from accounts.models import ApiKey, ApiUsageLog, LedgerEntry, SenderId, WebhookDelivery, WebhookEndpoint
from accounts.webhooks.endpoints import MAX_ENDPOINTS
from campaigns.choices import CampaignStatus, RecurringStatus
from campaigns.models import Campaign, MessageTemplate, RecurringCampaign
from messaging.choices import BatchState, FactSource, MessageStatus
from messaging.gateways.base import Report
from messaging.models import InboundMessage, Message
from messaging.outcomes import settlement
from messaging.preflight.receipt import preflight
from messaging.sending.expansion import expand_ready
from tests.support.api_routes import ROUTES, Route, Things, filled, of_key, value_in
from tests.support.factories import MembershipFactory, make_campaign, make_upload, phones
from uploads.audiences import audience_from_numbers
from uploads.choices import RowReason
from uploads.chunks import RefusedRow
from uploads.contacts import put_contact
from uploads.models import Upload
from uploads.suppressions import suppress

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql, pytest.mark.once]

FEW, MANY = 2, 40
PASSWORD = "correct horse battery"
NEW_PHONE = phones(1, 900_000)[0]
LOCAL = "http://127.0.0.1:9/"


class Crowd(Things):
    """So many of everything, in an account of its own; what a path names is the first of its kind."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.numbers = phones(size, 1000)
        self.campaign = make_campaign(self.account, size)
        for _ in range(size - 1):
            make_campaign(self.account, 1)
        while expand_ready():
            pass
        self._report()
        self._crowd_lists()
        self._crowd_account()
        self.headers = of_key(self.member)
        ApiKey.objects.filter(name="key").update(last_used_at=timezone.now())  # written once a minute

    @cached_property
    def message(self) -> Message:
        return Message.objects.filter(campaign=self.campaign).order_by("id")[0]

    @cached_property
    def upload(self) -> Upload:
        """With as many refused rows as good ones."""
        upload = make_upload(self.account, [(phone,) for phone in self.numbers], ["phone"])
        refused = [RefusedRow(place, RowReason.NOT_A_NUMBER.value, "?", "") for place in range(self.size)]
        numbers = list(enumerate(self.numbers))
        upload.audience = audience_from_numbers(self.account, numbers, ["phone"], [[n] for n in self.numbers], refused)
        upload.save(update_fields=["audience"])
        return upload

    def _report(self) -> None:
        """Of all messages but the last of the campaign, which so goes on."""
        last = Message.objects.filter(campaign=self.campaign).order_by("-id")[:1]
        messages = Message.objects.filter(campaign__account=self.account).exclude(pk=last)
        told = [Report(message.message_id, MessageStatus.SENT) for message in messages]
        settlement.apply(settlement.facts_from(told, FactSource.PUSH)[0])

    def _crowd_lists(self) -> None:
        assert self.template
        assert self.suppression
        assert self.inbound
        assert self.upload
        for place, phone in enumerate(self.numbers):
            put_contact(self.contact_list, self.user, phone, {})
            suppress(self.account, phone, "asked by letter")
            MessageTemplate.objects.create(
                account=self.account,
                user=self.user,
                template_id=f"t{self.size}-{place}",
                name=f"T{place}",
                message="Hi",
            )
            InboundMessage.objects.create(
                account=self.account,
                inbound_id=f"i{self.size}-{place}",
                gateway="simulator",
                provider_reference=f"{self.size}-{place}",
                phone_number=phone,
                recipient="12345",
                received_at=timezone.now(),
            )
            make_upload(self.account, [(phone,)], ["phone"])

    def _crowd_account(self) -> None:
        assert self.delivery
        assert self.sender
        assert self.key
        for place in range(min(self.size, MAX_ENDPOINTS - 2)):
            WebhookEndpoint.objects.create(
                account=self.account, endpoint_id=f"we{self.size}-{place}", url=f"{LOCAL}{place}", is_active=False
            )
        for place in range(self.size):
            name = f"{self.size}-{place}"
            SenderId.objects.create(account=self.account, value=f"S{place}", kind="alphanumeric", status="approved")
            ApiKey.objects.create(account=self.account, user=self.user, name=name, mode="live", prefix=name, scopes=[])
            WebhookDelivery.objects.create(
                endpoint=self.endpoint, event_id=name, event_type="ping", body="{}", state="failed"
            )
            LedgerEntry.objects.create(
                account=self.account, kind=LedgerKind.TOP_UP, amount_micro=1, balance_micro=place + 1
            )
            ApiUsageLog.objects.create(
                account=self.account,
                endpoint="/x",
                method="GET",
                status_code=200,
                response_time_ms=1,
                request_size=0,
                response_size=0,
                created_at=timezone.now(),
            )


Prepare = Callable[[Crowd], None]
Body = Callable[[Crowd], Any]


class Row(NamedTuple):
    """How many statements at most; the answer's status; a body, for as many rows as there are; what comes before."""

    most: int
    status: int = 200
    body: Body | None = None
    before: Prepare | None = None


def status(value: CampaignStatus, **values: Any) -> Prepare:
    return lambda crowd: Campaign.objects.filter(pk=crowd.campaign.pk).update(status=value, **values) and None


def approvable(crowd: Crowd) -> None:
    """Asked for by somebody else."""
    other = MembershipFactory(account=crowd.account).user
    status(CampaignStatus.AWAITING_APPROVAL, approval_requested_by=other)(crowd)


def failed(crowd: Crowd) -> None:
    Message.objects.filter(campaign=crowd.campaign).update(status=MessageStatus.UNDELIVERED)
    crowd.campaign.batches.update(state=BatchState.DONE, queued=0, undelivered=crowd.size)
    status(CampaignStatus.COMPLETED, queued=0, undelivered=crowd.size)(crowd)


def with_refresh_token(crowd: Crowd) -> dict[str, str]:
    return {"refresh_token": tokens.sign_in(crowd.user).refresh_token}


def a_send(crowd: Crowd) -> dict[str, Any]:
    return {"phone_numbers": phones(crowd.size, 500_000), "message": "Hi"}


def a_file(crowd: Crowd) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("n.txt", "\n".join(crowd.numbers).encode())}


def at_rest(crowd: Crowd) -> None:
    RecurringCampaign.objects.filter(pk=crowd.recurring.pk).update(status=RecurringStatus.PAUSED)


def active(crowd: Crowd) -> None:
    WebhookEndpoint.objects.filter(pk=crowd.endpoint.pk).update(is_active=True)


def local(crowd: Crowd) -> None:
    WebhookEndpoint.objects.filter(pk=crowd.endpoint.pk).update(url=LOCAL)


def replayable(crowd: Crowd) -> None:
    active(crowd)
    WebhookDelivery.objects.filter(pk=crowd.delivery.pk).update(state="failed")


def counted_before(crowd: Crowd) -> None:
    draft(crowd)
    preflight(Campaign.objects.get(pk=crowd.campaign.pk))


def always(**body: Any) -> Body:
    return lambda crowd: body


draft = status(CampaignStatus.DRAFT, started_at=None, chunks_done=0)
paused = status(CampaignStatus.PAUSED)
TEMPLATE = always(name="New", message="Hi")
NAME = always(name="New")

ROWS: dict[Route, Row] = {
    ("POST", "sms/send"): Row(13, 202, a_send),
    ("POST", "sms/bulk"): Row(10, 202, a_send),
    ("GET", "sms/reports"): Row(5),
    ("GET", "sms/reports/{message_id}"): Row(6),
    ("GET", "messages"): Row(4),
    ("GET", "messages/{message_id}"): Row(7),
    ("POST", "files/upload"): Row(4, 201, a_file),
    ("GET", "uploads"): Row(2),
    ("GET", "uploads/{upload_id}"): Row(2),
    ("GET", "uploads/{upload_id}/errors"): Row(5),
    ("GET", "uploads/{upload_id}/numbers"): Row(5),
    ("GET", "campaigns"): Row(2),
    ("POST", "campaigns"): Row(7, 201, a_send),
    ("GET", "campaigns/{bulk_id}"): Row(2),
    ("PATCH", "campaigns/{bulk_id}"): Row(7, 200, NAME, draft),
    ("DELETE", "campaigns/{bulk_id}"): Row(19, 204, None, draft),
    ("GET", "campaigns/{bulk_id}/preview"): Row(3),
    ("GET", "campaigns/{bulk_id}/preflight"): Row(5, 200, None, counted_before),
    ("POST", "campaigns/{bulk_id}/preflight"): Row(17, 200, None, draft),
    ("POST", "campaigns/{bulk_id}/launch"): Row(8, 200, None, draft),
    ("POST", "campaigns/{bulk_id}/approve"): Row(12, 200, None, approvable),
    ("POST", "campaigns/{bulk_id}/reject"): Row(9, 200, lambda crowd: {"comment": "Wrong date."}, approvable),
    ("POST", "campaigns/{bulk_id}/withdraw"): Row(7, 200, None, approvable),
    ("POST", "campaigns/{bulk_id}/pause"): Row(15),
    ("POST", "campaigns/{bulk_id}/resume"): Row(18, 200, None, paused),
    ("POST", "campaigns/{bulk_id}/cancel"): Row(15),
    ("POST", "campaigns/{bulk_id}/resend-failed"): Row(34, 201, None, failed),
    ("POST", "campaigns/{bulk_id}/clone"): Row(8, 201),
    ("GET", "recurring-campaigns"): Row(2),
    ("POST", "recurring-campaigns"): Row(10, 201, lambda crowd: a_send(crowd) | {"at": "09:00"}),
    ("GET", "recurring-campaigns/{recurring_id}"): Row(2),
    ("PATCH", "recurring-campaigns/{recurring_id}"): Row(8, 200, NAME),
    ("DELETE", "recurring-campaigns/{recurring_id}"): Row(7),
    ("GET", "recurring-campaigns/{recurring_id}/preview"): Row(2),
    ("POST", "recurring-campaigns/{recurring_id}/pause"): Row(7),
    ("POST", "recurring-campaigns/{recurring_id}/resume"): Row(7, 200, None, at_rest),
    ("GET", "templates"): Row(2),
    ("POST", "templates"): Row(8, 201, TEMPLATE),
    ("GET", "templates/{template_id}"): Row(2),
    ("PATCH", "templates/{template_id}"): Row(9, 200, NAME),
    ("DELETE", "templates/{template_id}"): Row(7, 204),
    ("GET", "contact-lists"): Row(2),
    ("POST", "contact-lists"): Row(8, 201, NAME),
    ("GET", "contact-lists/{list_id}"): Row(2),
    ("PATCH", "contact-lists/{list_id}"): Row(9, 200, NAME),
    ("DELETE", "contact-lists/{list_id}"): Row(12, 204),
    ("POST", "contact-lists/{list_id}/import"): Row(15, 200, lambda crowd: {"upload_id": crowd.upload.upload_id}),
    ("GET", "contact-lists/{list_id}/contacts"): Row(3),
    ("POST", "contact-lists/{list_id}/contacts"): Row(15, 201, always(phone_number=NEW_PHONE)),
    ("GET", "contact-lists/{list_id}/contacts/{phone_number}"): Row(4),
    ("DELETE", "contact-lists/{list_id}/contacts/{phone_number}"): Row(12, 204),
    ("GET", "suppressions"): Row(2),
    ("POST", "suppressions"): Row(13, 201, always(phone_number=NEW_PHONE)),
    ("POST", "suppressions/import"): Row(12, 200, lambda crowd: {"upload_id": crowd.upload.upload_id}),
    ("GET", "suppressions/{phone_number}"): Row(2),
    ("DELETE", "suppressions/{phone_number}"): Row(8, 204),
    ("GET", "inbound"): Row(2),
    ("GET", "inbound/{inbound_id}"): Row(2),
    ("POST", "lookup"): Row(3, 200, a_send),
    ("GET", "account/balance"): Row(1),
    ("GET", "account/ledger"): Row(2),
    ("GET", "account/usage"): Row(3),
    ("GET", "account/requests"): Row(2),
    ("GET", "senders"): Row(2),
    ("POST", "senders"): Row(9, 201, always(sender_id="NewShop")),
    ("GET", "senders/{sender_id}"): Row(2),
    ("DELETE", "senders/{sender_id}"): Row(8),
    ("GET", "api-keys"): Row(2),
    ("POST", "api-keys"): Row(7, 201, always(name="New", mode="live")),
    ("GET", "api-keys/{key_id}"): Row(2),
    ("PATCH", "api-keys/{key_id}"): Row(9, 200, NAME),
    ("DELETE", "api-keys/{key_id}"): Row(7),
    ("POST", "api-keys/{key_id}/rotate"): Row(9, 201),
    ("GET", "webhooks"): Row(2),
    ("POST", "webhooks"): Row(7, 201, always(url=LOCAL)),
    ("GET", "webhooks/callback-secret"): Row(4),
    ("POST", "webhooks/callback-secret"): Row(7),
    ("GET", "webhooks/{endpoint_id}"): Row(2),
    ("PATCH", "webhooks/{endpoint_id}"): Row(8, 200, always(description="New")),
    ("DELETE", "webhooks/{endpoint_id}"): Row(15, 204),
    ("POST", "webhooks/{endpoint_id}/rotate-secret"): Row(8),
    ("POST", "webhooks/{endpoint_id}/test"): Row(8, 202, None, active),
    ("POST", "webhooks/{endpoint_id}/enable"): Row(9, 200, None, local),
    ("POST", "webhooks/{endpoint_id}/replay"): Row(11, 202, always(failed_since="2026-01-01T00:00:00Z"), replayable),
    ("GET", "webhooks/{endpoint_id}/deliveries"): Row(3),
    ("GET", "webhooks/{endpoint_id}/deliveries/{event_id}"): Row(4),
    ("POST", "webhooks/{endpoint_id}/deliveries/{event_id}/replay"): Row(8, 202, None, replayable),
    ("POST", "auth/token"): Row(13, 200, lambda crowd: {"username": crowd.user.username, "password": PASSWORD}),
    ("POST", "auth/token/refresh"): Row(2, 200, with_refresh_token),
    ("POST", "auth/token/revoke"): Row(5, 200, with_refresh_token),
    ("GET", "health"): Row(1),
    ("GET", "health/live"): Row(0),
    ("GET", "health/ready"): Row(1),
    ("GET", "metrics"): Row(10),
    ("GET", "schema"): Row(0),
    ("GET", "docs"): Row(0),
    ("GET", "redoc"): Row(0),
}


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def counted(client: Client, route: Route, row: Row, crowd: Crowd) -> tuple[int, int]:
    """Statements, and the answer's status; nothing is left of it."""
    method, path = route
    url = f"/api/v1/{filled(path, value_in(crowd, path))}"
    with rolled_back():
        if row.before:
            row.before(crowd)
        options: dict[str, Any] = {"headers": {} if ROUTES[route].scope is None else crowd.headers}
        body = row.body(crowd) if row.body else {}
        if path == "files/upload":
            options["data"] = body
        elif method != "GET":
            options |= {"data": json.dumps(body), "content_type": "application/json"}
        with CaptureQueriesContext(connection) as statements:
            answer = getattr(client, method.lower())(url, **options)
        return len(statements), answer.status_code


def test_every_route_has_its_row() -> None:
    assert set(ROWS) == set(ROUTES)


def all_counted(client: Client, size: int) -> dict[Route, tuple[int, int]]:
    """Of every route; nothing is left of any."""
    with rolled_back():
        crowd = Crowd(size)
        for route, row in ROWS.items():
            counted(client, route, row, crowd)  # what only the first call asks for
        return {route: counted(client, route, row, crowd) for route, row in ROWS.items()}


def test_no_route_asks_more_than_its_row_says_however_many_rows_there_are(client: Client, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    few, many = all_counted(client, FEW), all_counted(client, MANY)
    assert few == many
    assert {route: found for route, found in many.items() if found[0] > ROWS[route].most} == {}
    assert {route: found[1] for route, found in many.items()} == {route: row.status for route, row in ROWS.items()}
