"""Every route of the API with the scope it needs, and one of everything that a path can name.

A new route: one line in ROUTES, (method, path): Row(scope[, a well-formed body]); a new parameter: one line in THINGS.
"""

import re
from collections.abc import Callable, Iterator
from datetime import time
from functools import cached_property
from typing import Any, NamedTuple

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import Model
from django.utils import timezone

from accounts.access.api_keys import Issuer, issue_api_key
from accounts.choices import Mode, Scope
from accounts.models import ApiKey, SenderId, WebhookDelivery, WebhookEndpoint
from campaigns.models import Campaign, MessageTemplate, RecurringCampaign
from campaigns.scheduling.rule import Every, Rule
from messaging.models import InboundMessage, Message
from messaging.sending.expansion import expand_ready
from smsapp.api.urls import urlpatterns
from tests.support.factories import MembershipFactory, SenderIdFactory, make_campaign, phones
from uploads.contacts import create_list, put_contact
from uploads.models import ContactList, Suppression, Upload
from uploads.services import accept_upload
from uploads.suppressions import find, suppress

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PHONE = phones(1)[0]
Route = tuple[str, str]
JSON = {"content_type": "application/json"}


class Row(NamedTuple):
    """The scope a route needs, None if it is open to everybody; `{parameter}` in the body names a thing."""

    scope: Scope | None
    body: dict[str, Any] | None = None


OPEN = Row(None)
ROUTES: dict[Route, Row] = {
    ("POST", "sms/send"): Row(Scope.MESSAGES_SEND),
    ("POST", "sms/bulk"): Row(Scope.CAMPAIGNS_WRITE),
    ("GET", "sms/reports"): Row(Scope.MESSAGES_READ),
    ("GET", "sms/reports/{message_id}"): Row(Scope.MESSAGES_READ),
    ("GET", "messages"): Row(Scope.MESSAGES_READ),
    ("GET", "messages/{message_id}"): Row(Scope.MESSAGES_READ),
    ("POST", "files/upload"): Row(Scope.CONTACTS_WRITE),
    ("GET", "uploads"): Row(Scope.CONTACTS_READ),
    ("GET", "uploads/{upload_id}"): Row(Scope.CONTACTS_READ),
    ("GET", "uploads/{upload_id}/errors"): Row(Scope.CONTACTS_READ),
    ("GET", "uploads/{upload_id}/numbers"): Row(Scope.CONTACTS_READ),
    ("GET", "campaigns"): Row(Scope.CAMPAIGNS_READ),
    ("POST", "campaigns"): Row(Scope.CAMPAIGNS_WRITE),
    ("GET", "campaigns/{bulk_id}"): Row(Scope.CAMPAIGNS_READ),
    ("PATCH", "campaigns/{bulk_id}"): Row(Scope.CAMPAIGNS_WRITE, {"name": "Theirs"}),
    ("DELETE", "campaigns/{bulk_id}"): Row(Scope.CAMPAIGNS_WRITE),
    ("GET", "campaigns/{bulk_id}/preview"): Row(Scope.CAMPAIGNS_READ),
    ("GET", "campaigns/{bulk_id}/preflight"): Row(Scope.CAMPAIGNS_READ),
    ("POST", "campaigns/{bulk_id}/preflight"): Row(Scope.CAMPAIGNS_WRITE),
    ("POST", "campaigns/{bulk_id}/launch"): Row(Scope.CAMPAIGNS_WRITE),
    ("POST", "campaigns/{bulk_id}/approve"): Row(Scope.CAMPAIGNS_WRITE),
    ("POST", "campaigns/{bulk_id}/reject"): Row(Scope.CAMPAIGNS_WRITE, {"comment": "The date is wrong."}),
    ("POST", "campaigns/{bulk_id}/withdraw"): Row(Scope.CAMPAIGNS_WRITE),
    ("POST", "campaigns/{bulk_id}/pause"): Row(Scope.CAMPAIGNS_WRITE),
    ("POST", "campaigns/{bulk_id}/resume"): Row(Scope.CAMPAIGNS_WRITE),
    ("POST", "campaigns/{bulk_id}/cancel"): Row(Scope.CAMPAIGNS_WRITE),
    ("POST", "campaigns/{bulk_id}/resend-failed"): Row(Scope.CAMPAIGNS_WRITE),
    ("POST", "campaigns/{bulk_id}/clone"): Row(Scope.CAMPAIGNS_WRITE),
    ("GET", "recurring-campaigns"): Row(Scope.CAMPAIGNS_READ),
    ("POST", "recurring-campaigns"): Row(Scope.CAMPAIGNS_WRITE),
    ("GET", "recurring-campaigns/{recurring_id}"): Row(Scope.CAMPAIGNS_READ),
    ("PATCH", "recurring-campaigns/{recurring_id}"): Row(Scope.CAMPAIGNS_WRITE, {"name": "Theirs"}),
    ("DELETE", "recurring-campaigns/{recurring_id}"): Row(Scope.CAMPAIGNS_WRITE),
    ("GET", "recurring-campaigns/{recurring_id}/preview"): Row(Scope.CAMPAIGNS_READ),
    ("POST", "recurring-campaigns/{recurring_id}/pause"): Row(Scope.CAMPAIGNS_WRITE),
    ("POST", "recurring-campaigns/{recurring_id}/resume"): Row(Scope.CAMPAIGNS_WRITE),
    ("GET", "templates"): Row(Scope.CAMPAIGNS_READ),
    ("POST", "templates"): Row(Scope.CAMPAIGNS_WRITE),
    ("GET", "templates/{template_id}"): Row(Scope.CAMPAIGNS_READ),
    ("PATCH", "templates/{template_id}"): Row(Scope.CAMPAIGNS_WRITE, {"name": "Theirs"}),
    ("DELETE", "templates/{template_id}"): Row(Scope.CAMPAIGNS_WRITE),
    ("GET", "contact-lists"): Row(Scope.CONTACTS_READ),
    ("POST", "contact-lists"): Row(Scope.CONTACTS_WRITE),
    ("GET", "contact-lists/{list_id}"): Row(Scope.CONTACTS_READ),
    ("PATCH", "contact-lists/{list_id}"): Row(Scope.CONTACTS_WRITE, {"name": "Theirs"}),
    ("DELETE", "contact-lists/{list_id}"): Row(Scope.CONTACTS_WRITE),
    ("POST", "contact-lists/{list_id}/import"): Row(Scope.CONTACTS_WRITE, {"upload_id": "{upload_id}"}),
    ("GET", "contact-lists/{list_id}/contacts"): Row(Scope.CONTACTS_READ),
    ("POST", "contact-lists/{list_id}/contacts"): Row(Scope.CONTACTS_WRITE, {"phone_number": PHONE}),
    ("GET", "contact-lists/{list_id}/contacts/{phone_number}"): Row(Scope.CONTACTS_READ),
    ("DELETE", "contact-lists/{list_id}/contacts/{phone_number}"): Row(Scope.CONTACTS_WRITE),
    ("GET", "suppressions"): Row(Scope.CONTACTS_READ),
    ("POST", "suppressions"): Row(Scope.CONTACTS_WRITE),
    ("POST", "suppressions/import"): Row(Scope.CONTACTS_WRITE, {"upload_id": "{upload_id}"}),
    ("GET", "suppressions/{phone_number}"): Row(Scope.CONTACTS_READ),
    ("DELETE", "suppressions/{phone_number}"): Row(Scope.CONTACTS_WRITE),
    ("GET", "inbound"): Row(Scope.MESSAGES_READ),
    ("GET", "inbound/{inbound_id}"): Row(Scope.MESSAGES_READ),
    ("POST", "lookup"): Row(Scope.MESSAGES_READ),
    ("GET", "account/balance"): Row(Scope.ACCOUNT_READ),
    ("GET", "account/ledger"): Row(Scope.ACCOUNT_READ),
    ("GET", "account/usage"): Row(Scope.ACCOUNT_READ),
    ("GET", "account/requests"): Row(Scope.ACCOUNT_READ),
    ("GET", "senders"): Row(Scope.ACCOUNT_READ),
    ("POST", "senders"): Row(Scope.ACCOUNT_WRITE),
    ("GET", "senders/{sender_id}"): Row(Scope.ACCOUNT_READ),
    ("DELETE", "senders/{sender_id}"): Row(Scope.ACCOUNT_WRITE),
    ("GET", "api-keys"): Row(Scope.KEYS_READ),
    ("POST", "api-keys"): Row(Scope.KEYS_WRITE),
    ("GET", "api-keys/{key_id}"): Row(Scope.KEYS_READ),
    ("PATCH", "api-keys/{key_id}"): Row(Scope.KEYS_WRITE, {"name": "Theirs"}),
    ("DELETE", "api-keys/{key_id}"): Row(Scope.KEYS_WRITE),
    ("POST", "api-keys/{key_id}/rotate"): Row(Scope.KEYS_WRITE),
    ("GET", "webhooks"): Row(Scope.WEBHOOKS_READ),
    ("POST", "webhooks"): Row(Scope.WEBHOOKS_WRITE),
    ("GET", "webhooks/callback-secret"): Row(Scope.WEBHOOKS_WRITE),
    ("POST", "webhooks/callback-secret"): Row(Scope.WEBHOOKS_WRITE),
    ("GET", "webhooks/{endpoint_id}"): Row(Scope.WEBHOOKS_READ),
    ("PATCH", "webhooks/{endpoint_id}"): Row(Scope.WEBHOOKS_WRITE, {"description": "Theirs"}),
    ("DELETE", "webhooks/{endpoint_id}"): Row(Scope.WEBHOOKS_WRITE),
    ("POST", "webhooks/{endpoint_id}/rotate-secret"): Row(Scope.WEBHOOKS_WRITE),
    ("POST", "webhooks/{endpoint_id}/test"): Row(Scope.WEBHOOKS_WRITE),
    ("POST", "webhooks/{endpoint_id}/enable"): Row(Scope.WEBHOOKS_WRITE),
    ("POST", "webhooks/{endpoint_id}/replay"): Row(Scope.WEBHOOKS_WRITE, {"failed_since": "2026-01-01T00:00:00Z"}),
    ("GET", "webhooks/{endpoint_id}/deliveries"): Row(Scope.WEBHOOKS_READ),
    ("GET", "webhooks/{endpoint_id}/deliveries/{event_id}"): Row(Scope.WEBHOOKS_READ),
    ("POST", "webhooks/{endpoint_id}/deliveries/{event_id}/replay"): Row(Scope.WEBHOOKS_WRITE),
    ("POST", "auth/token"): OPEN,
    ("POST", "auth/token/refresh"): OPEN,
    ("POST", "auth/token/revoke"): OPEN,
    ("GET", "health"): OPEN,
    ("GET", "health/live"): OPEN,
    ("GET", "health/ready"): OPEN,
    ("GET", "metrics"): OPEN,
    ("GET", "schema"): OPEN,
    ("GET", "docs"): OPEN,
    ("GET", "redoc"): OPEN,
}


class Things:
    """One of everything in an account of its own, made when it is asked for."""

    def __init__(self) -> None:
        self.member = MembershipFactory()
        self.account, self.user = self.member.account, self.member.user

    @cached_property
    def campaign(self) -> Campaign:
        return make_campaign(self.account, 1)

    @cached_property
    def message(self) -> Message:
        assert self.campaign.pk
        expand_ready()
        return Message.objects.get()

    @cached_property
    def template(self) -> MessageTemplate:
        return MessageTemplate.objects.create(
            account=self.account, user=self.user, template_id="tpl-1", name="Ours", message="Hello"
        )

    @cached_property
    def recurring(self) -> RecurringCampaign:
        return RecurringCampaign.objects.create(
            account=self.account,
            user=self.user,
            recurring_id="rec-1",
            message="Hello",
            audience=self.campaign.audience,
            rule=Rule.at(Every.DAY, "UTC", time(9)).stored(),
        )

    @cached_property
    def upload(self) -> Upload:
        return accept_upload(self.account, self.user, SimpleUploadedFile("n.txt", PHONE.encode()))

    @cached_property
    def contact_list(self) -> ContactList:
        contact_list = create_list(self.account, self.user, "Ours")
        put_contact(contact_list, self.user, PHONE, {})
        return contact_list

    @cached_property
    def suppression(self) -> Suppression:
        suppress(self.account, PHONE, "asked by letter")
        suppression = find(self.account, PHONE)
        assert suppression is not None
        return suppression

    @cached_property
    def inbound(self) -> InboundMessage:
        return InboundMessage.objects.create(
            account=self.account,
            inbound_id="in-1",
            gateway="simulator",
            provider_reference="1",
            phone_number=PHONE,
            recipient="12345",
            received_at=timezone.now(),
        )

    @cached_property
    def sender(self) -> SenderId:
        return SenderIdFactory(account=self.account, status="pending")

    @cached_property
    def key(self) -> ApiKey:
        return issue_api_key(Issuer(self.account, self.user, Mode.LIVE, frozenset(Scope)), "Ours", Mode.LIVE)[0]

    @cached_property
    def endpoint(self) -> WebhookEndpoint:
        return WebhookEndpoint.objects.create(
            account=self.account, endpoint_id="we_1", url="https://ours.example.com/", is_active=False
        )

    @cached_property
    def delivery(self) -> WebhookDelivery:
        return WebhookDelivery.objects.create(endpoint=self.endpoint, event_id="evt_1", event_type="ping", body="{}")


#: The thing that a parameter of a path names, and how.
THINGS: dict[str, tuple[Callable[[Things], Model], str]] = {
    "bulk_id": (lambda things: things.campaign, "bulk_id"),
    "message_id": (lambda things: things.message, "message_id"),
    "template_id": (lambda things: things.template, "template_id"),
    "recurring_id": (lambda things: things.recurring, "recurring_id"),
    "upload_id": (lambda things: things.upload, "upload_id"),
    "list_id": (lambda things: things.contact_list, "list_id"),
    "phone_number": (lambda things: things.suppression, "phone_number"),
    "inbound_id": (lambda things: things.inbound, "inbound_id"),
    "sender_id": (lambda things: things.sender, "value"),
    "key_id": (lambda things: things.key, "prefix"),
    "endpoint_id": (lambda things: things.endpoint, "endpoint_id"),
    "event_id": (lambda things: things.delivery, "event_id"),
}


def routes() -> Iterator[tuple[str, set[str]]]:
    """Each path of the router, and the methods it takes."""
    for pattern in urlpatterns:
        view: Any = pattern.callback
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))
        if actions := getattr(view, "actions", None):
            yield path, {method.upper() for method in actions} - {"HEAD"}
        elif cls := getattr(view, "cls", None):
            yield path, {method for method in METHODS if hasattr(cls, method.lower())}
        else:
            yield path, {"GET"}  # a plain function


def filled(text: str, value_of: Callable[[str], str]) -> str:
    return re.sub(r"{(\w+)}", lambda match: value_of(match[1]), text)


def nothing(name: str) -> str:
    return "nothing"


def ask(client: Any, route: Route, headers: dict[str, str], value_of: Callable[[str], str] = nothing) -> Any:
    method, path = route
    body = ROUTES[route].body or {}
    return getattr(client, method.lower())(
        f"/api/v1/{filled(path, value_of)}",
        headers=headers,
        **({} if method == "GET" else {"data": {k: filled(v, value_of) for k, v in body.items()}, **JSON}),
    )


def of_key(membership: Any, mode: Mode = Mode.LIVE, **options: Any) -> dict[str, str]:
    issuer = Issuer(membership.account, membership.user, Mode.LIVE, frozenset(Scope))
    return {"X-API-Key": issue_api_key(issuer, "key", mode, **{"scopes": Scope} | options)[1]}


def value_in(things: Things, path: str) -> Callable[[str], str]:
    """Where a parameter names a thing: make it, and say how it is named."""

    def value(name: str) -> str:
        if name == "phone_number":  # of a list, or suppressed
            assert things.contact_list if "contacts" in path else things.suppression
            return PHONE
        make, attribute = THINGS[name]
        return str(getattr(make(things), attribute))

    return value
