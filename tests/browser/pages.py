"""Every page of the dashboard, with something on it."""

import time
from typing import Any

from tests.browser.platform import DIRTY, Platform


def furnished(platform: Platform) -> dict[str, str]:
    """Addresses by name of every page, after the account was filled with something to see."""
    call = platform.call
    number = "+4915112345678"
    parcel = {"phone_numbers": [number], "message": "Your parcel is here.", "sender_id": "DemoShop"}
    sent = call("POST", "sms/send", parcel)
    template = call("POST", "templates", {"name": "Greeting", "message": "Hello {name|there}, welcome."})
    contacts = call("POST", "contact-lists", {"name": "Regulars"})
    call("POST", f"contact-lists/{contacts['list_id']}/contacts", {"phone_number": number, "values": {"name": "Anna"}})
    call("POST", "senders", {"sender_id": "SpringShop"})
    call("POST", "suppressions", {"phone_number": "+4915112345679", "note": "Asked by phone"})
    numbers = [f"+4915112{n:06d}" for n in range(120)]
    sale = {"phone_numbers": numbers, "message": "Our sale begins on Friday.", "name": "Spring sale"}
    bulk = call("POST", "sms/bulk", sale)
    draft = call("POST", "campaigns", {"phone_numbers": numbers, "message": "Thank you.", "name": "A draft"})
    upload_id = platform.run(UPLOAD % DIRTY)
    endpoint_id, delivery = platform.run(WEBHOOK).split()
    recurring_id = call(
        "POST",
        "recurring-campaigns",
        {
            "name": "Every Monday",
            "message": "Good morning.",
            "list_id": contacts["list_id"],
            "every": "week",
            "weekdays": [1],
            "at": "09:00",
            "timezone": "Europe/Berlin",
        },
    )["recurring_id"]
    _wait_for_reports(platform, bulk["bulk_id"])
    return {
        "overview": "/",
        "send": "/send/",
        "wizard-who": "/campaigns/new/",
        "wizard-check": f"/campaigns/new/file/{upload_id}/",
        "wizard-text": f"/campaigns/new/file/{upload_id}/text/",
        "wizard-when": f"/campaigns/draft/{draft['bulk_id']}/when/",
        "wizard-review": f"/campaigns/draft/{draft['bulk_id']}/review/",
        "campaigns": "/campaigns/",
        "campaign": f"/campaigns/{bulk['bulk_id']}/",
        "recurring-list": "/recurring/",
        "recurring": f"/recurring/{recurring_id}/",
        "recurring-edit": f"/recurring/{recurring_id}/edit/",
        "messages": "/messages/",
        "message": f"/messages/{sent['messages'][0]['message_id']}/",
        "reports": "/reports/",
        "inbox": "/inbox/",
        "approvals": "/approvals/",
        "contacts": "/contacts/",
        "contact-list": f"/contacts/{contacts['list_id']}/",
        "contact-list-settings": f"/contacts/{contacts['list_id']}/settings/",
        "uploads": "/uploads/",
        "upload": f"/uploads/{upload_id}/",
        "opt-outs": "/opt-outs/",
        "templates": "/templates/",
        "template": f"/templates/{template['template_id']}/",
        "senders": "/accounts/senders/",
        "usage": "/accounts/usage/",
        "developers": "/accounts/developers/",
        "key-new": "/accounts/developers/keys/new/",
        "webhook-new": "/accounts/developers/webhooks/new/",
        "webhook": f"/accounts/developers/webhooks/{endpoint_id}/",
        "webhook-delivery": f"/accounts/developers/webhooks/{endpoint_id}/deliveries/{delivery}/",
        "requests": "/accounts/developers/requests/",
        "team": "/accounts/team/",
        "settings": "/accounts/settings/",
        "profile": "/accounts/profile/",
    }


UPLOAD = """
from django.core.files.uploadedfile import SimpleUploadedFile
from accounts.models import Account, User
from uploads.services import accept_upload
from uploads.files.reading import read_upload
account, user = Account.objects.get(name="Demo"), User.objects.get(username="demo")
upload = accept_upload(account, user, SimpleUploadedFile("customers.csv", %r.encode()))
import time
for _ in range(100):
    upload.refresh_from_db()
    if upload.status == "ready":
        break
    time.sleep(0.2)
print(upload.upload_id)
"""
WEBHOOK = """
from accounts.models import Account, WebhookAttempt, WebhookDelivery, WebhookEndpoint
account = Account.objects.get(name="Demo")
endpoint = WebhookEndpoint.objects.create(account=account, endpoint_id="whe-sample", url="https://example.com/hook")
delivery = WebhookDelivery.objects.create(
    endpoint=endpoint, event_id="evt-sample", event_type="campaign.completed", body="{}", state="failed",
    attempt_count=1, last_status=500,
)
WebhookAttempt.objects.create(delivery=delivery, duration_ms=120, http_status=500, response="Internal error")
print(endpoint.endpoint_id, delivery.pk)
"""


def _wait_for_reports(platform: Platform, bulk_id: str) -> Any:
    """Until all outcomes are known, and a little longer: the days are folded some seconds later."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        campaign = platform.call("GET", f"campaigns/{bulk_id}")
        if campaign["status"] == "COMPLETED":
            break
        time.sleep(0.5)
    time.sleep(12)
