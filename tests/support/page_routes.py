"""Every page of the dashboard with the scope it needs, and an account with one of everything.

A new address: one line in PAGES, its name: Door(method, the scope it needs); a new parameter: one line in `things`.
"""

from datetime import time
from typing import Any, NamedTuple

from django.urls import URLPattern, reverse

import accounts.urls
import campaigns.urls
import messaging.urls
import reports.urls
import uploads.urls
from accounts.access.api_keys import Issuer, issue_api_key
from accounts.access.invitations import invite
from accounts.choices import SCOPES_OF, Mode, Role, Scope
from accounts.models import Account, SenderId, WebhookDelivery, WebhookEndpoint
from campaigns.models import Campaign, MessageTemplate, RecurringCampaign
from campaigns.scheduling.rule import Every, Rule
from messaging.choices import MessageStatus
from messaging.ids import make_message_pk, public_id
from tests.support.builders import make_batch
from tests.support.factories import AccountFactory, MembershipFactory, make_campaign, make_upload, phones
from uploads.contacts import create_list


class Door(NamedTuple):
    """None: whoever belongs to an account."""

    method: str
    scope: Scope | None


def read(scope: Scope) -> Door:
    return Door("get", scope)


def act(scope: Scope | None) -> Door:
    return Door("post", scope)


WRITE, SEND, SEEN = Scope.CAMPAIGNS_WRITE, Scope.MESSAGES_SEND, Scope.MESSAGES_READ
PAGES = {
    "overview": read(Scope.CAMPAIGNS_READ),
    "reports": read(SEEN),
    "days-csv": read(SEEN),
    "countries-csv": read(SEEN),
    "times-csv": read(SEEN),
    "send": read(SEND),
    "composed": act(SEND),
    "message-search": read(SEEN),
    "message-detail": read(SEEN),
    "inbox": read(SEEN),
    "campaign-list": read(Scope.CAMPAIGNS_READ),
    "campaign-csv": read(SEEN),
    "campaign-detail": Door("get", None),
    "campaign-live": Door("get", None),
    "campaign-refused": Door("get", None),
    "campaign-pause": act(WRITE),
    "campaign-resume": act(WRITE),
    "campaign-withdraw": act(WRITE),
    "campaign-approve": act(WRITE),
    "campaign-clone": act(WRITE),
    "campaign-cancel": act(WRITE),
    "campaign-resend": act(WRITE),
    "new-campaign": read(WRITE),
    "wizard-composed": act(WRITE),
    "wizard-check": read(WRITE),
    "wizard-text-of-upload": read(WRITE),
    "wizard-text-of-list": read(WRITE),
    "wizard-text": read(WRITE),
    "wizard-when": read(WRITE),
    "wizard-review": read(WRITE),
    "wizard-try": act(WRITE),
    "wizard-delete": act(WRITE),
    "approvals": read(Scope.CAMPAIGNS_READ),
    "recurring-list": read(Scope.CAMPAIGNS_READ),
    "recurring-detail": read(Scope.CAMPAIGNS_READ),
    "recurring-edit": read(WRITE),
    "recurring-pause": act(WRITE),
    "recurring-resume": act(WRITE),
    "recurring-end": act(WRITE),
    "templates": read(Scope.CAMPAIGNS_READ),
    "template-new": read(WRITE),
    "template-edit": read(WRITE),
    "template-delete": act(WRITE),
    "upload-list": read(Scope.CONTACTS_READ),
    "upload-detail": read(Scope.CONTACTS_READ),
    "upload-refused-csv": read(Scope.CONTACTS_READ),
    "contact-lists": read(Scope.CONTACTS_READ),
    "contact-list": read(Scope.CONTACTS_READ),
    "contact-list-fill": act(Scope.CONTACTS_WRITE),
    "contact-remove": act(Scope.CONTACTS_WRITE),
    "contact-list-settings": read(Scope.CONTACTS_WRITE),
    "opt-outs": read(Scope.CONTACTS_READ),
    "opt-outs-allow": act(Scope.CONTACTS_WRITE),
    "opt-outs-from-upload": act(Scope.CONTACTS_WRITE),
    "senders": read(Scope.ACCOUNT_READ),
    "sender-withdraw": act(Scope.ACCOUNT_WRITE),
    "usage": read(Scope.ACCOUNT_READ),
    "team": read(Scope.ACCOUNT_READ),
    "team-change": act(Scope.ACCOUNT_READ),
    "invitation-withdraw": act(Scope.ACCOUNT_READ),
    "account-settings": read(Scope.ACCOUNT_READ),
    "profile": Door("get", None),
    "developers": read(Scope.WEBHOOKS_READ),
    "requests": read(Scope.ACCOUNT_READ),
    "key-new": read(Scope.KEYS_WRITE),
    "key-rotate": act(Scope.KEYS_WRITE),
    "key-revoke": act(Scope.KEYS_WRITE),
    "webhook-new": read(Scope.WEBHOOKS_WRITE),
    "webhook-detail": read(Scope.WEBHOOKS_READ),
    "webhook-test": act(Scope.WEBHOOKS_WRITE),
    "webhook-enable": act(Scope.WEBHOOKS_WRITE),
    "webhook-rotate": act(Scope.WEBHOOKS_WRITE),
    "webhook-remove": act(Scope.WEBHOOKS_WRITE),
    "webhook-delivery": read(Scope.WEBHOOKS_READ),
}


URLS = {
    str(pattern.name): pattern
    for patterns in (
        accounts.urls.site_urlpatterns,
        accounts.urls.urlpatterns,
        campaigns.urls.urlpatterns,
        messaging.urls.urlpatterns,
        reports.urls.urlpatterns,
        uploads.urls.urlpatterns,
    )
    for pattern in patterns
    if isinstance(pattern, URLPattern)
}


class World:
    """An account with one of everything that has an id in its address."""

    def __init__(self) -> None:
        self.account: Account = AccountFactory()
        owner = MembershipFactory(account=self.account, role=Role.OWNER)
        self.upload = make_upload(self.account, [(phone,) for phone in phones(2)], ["phone"])
        self.campaign: Campaign = make_campaign(self.account)
        self.batch = make_batch(self.campaign, [MessageStatus.DELIVERED])
        self.contact_list = create_list(self.account, owner.user, "Regulars")
        rule = Rule.at(Every.DAY, "UTC", time(9)).stored()
        self.recurring = RecurringCampaign.objects.create(
            account=self.account,
            user=owner.user,
            recurring_id=f"rec-{self.account.pk}",
            name="Daily",
            message="Hello",
            audience=self.campaign.audience,
            rule=rule,
        )
        self.template = MessageTemplate.objects.create(
            account=self.account, user=owner.user, template_id=f"tpl-{self.account.pk}", name="T", message="Hello"
        )
        self.sender = SenderId.objects.create(account=self.account, value="Brand", kind="alphanumeric")
        self.endpoint = WebhookEndpoint.objects.create(
            account=self.account, endpoint_id=f"whe-{self.account.pk}", url=f"https://example.com/{self.account.pk}"
        )
        self.delivery = WebhookDelivery.objects.create(
            endpoint=self.endpoint, event_id="evt-1", event_type="ping", body="{}"
        )
        issuer = Issuer(self.account, owner.user, Mode.LIVE, SCOPES_OF[Role.OWNER])
        self.key, _ = issue_api_key(issuer, "Key", Mode.TEST)
        self.other = MembershipFactory(account=self.account, role=Role.VIEWER)
        self.invitation, _ = invite(owner, f"new-{self.account.pk}@example.com", Role.VIEWER)

    def things(self) -> dict[str, Any]:
        return {
            "bulk_id": self.campaign.bulk_id,
            "upload_id": self.upload.upload_id,
            "list_id": self.contact_list.list_id,
            "recurring_id": self.recurring.recurring_id,
            "template_id": self.template.template_id,
            "sender_pk": self.sender.pk,
            "endpoint_id": self.endpoint.endpoint_id,
            "delivery_pk": self.delivery.pk,
            "prefix": self.key.prefix,
            "membership_pk": self.other.pk,
            "invitation_pk": self.invitation.pk,
            "message_id": public_id(make_message_pk(self.batch.pk, 0)),
        }


def address(name: str, things: dict[str, Any]) -> str:
    return reverse(name, kwargs={key: things[key] for key in URLS[name].pattern.converters})
