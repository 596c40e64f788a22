"""The console's pages on webhooks show what failed and no secret, and send it again."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.choices import EventType, WebhookState
from accounts.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from accounts.webhooks import delivery, emit, endpoints
from reports.selectors import attention
from tests.support.factories import MembershipFactory

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def row(settings: Any) -> WebhookDelivery:
    settings.WEBHOOK_ALLOW_LOCAL = True
    member = MembershipFactory()
    endpoints.create(member.account, "live", member.user, "http://127.0.0.1:1/")
    emit(member.account_id, "live", EventType.CAMPAIGN_STARTED, {"name": "hidden-body"})
    row = WebhookDelivery.objects.get()
    WebhookAttempt.objects.create(delivery=row, duration_ms=5, http_status=500, response="<script>alert(1)</script>")
    WebhookDelivery.objects.update(state=WebhookState.FAILED)
    return row


def act(client: Client, model: str, action: str, key: int) -> str:
    body = {"action": action, "_selected_action": [key], "confirmed": "yes"}
    return client.post(reverse(f"admin:accounts_{model}_changelist"), body, follow=True).content.decode()


def test_pages_show_tries_escaped_and_neither_secret_nor_body(admin_client: Client, row: WebhookDelivery) -> None:
    pages = [
        admin_client.get(reverse(f"admin:accounts_{model}_{page}", args=args)).content.decode()
        for model, key in (("webhookendpoint", row.endpoint_id), ("webhookdelivery", row.pk))
        for page, args in (("changelist", ()), ("change", (key,)))
    ]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in pages[3]
    for page in pages:
        assert "<script>alert(1)" not in page
        assert row.endpoint.secret not in page
        assert "hidden-body" not in page


def test_an_event_is_sent_again(admin_client: Client, row: WebhookDelivery) -> None:
    act(admin_client, "webhookdelivery", "replay", row.pk)
    row.refresh_from_db()
    assert row.state == WebhookState.WAITING


def test_an_endpoint_is_enabled_and_its_failed_events_are_sent_again(
    admin_client: Client, row: WebhookDelivery
) -> None:
    delivery.disable(row.endpoint, "It answered 410 Gone.", timezone.now())
    assert "Enable it first" in act(admin_client, "webhookendpoint", "replay_failed", row.endpoint_id)
    act(admin_client, "webhookendpoint", "enable", row.endpoint_id)
    act(admin_client, "webhookendpoint", "replay_failed", row.endpoint_id)
    row.refresh_from_db()
    assert row.state == WebhookState.WAITING


def test_what_has_failed_for_a_day_wants_a_hand(row: WebhookDelivery) -> None:
    assert attention() == []
    now = timezone.now()
    WebhookEndpoint.objects.update(failing_since=now, told_failing_at=now)
    assert [(notice.title, notice.count) for notice in attention()] == [
        ("Webhook endpoints that have failed for a day", 1)
    ]


def test_nothing_is_said_to_be_sent_again_where_nothing_failed(admin_client: Client, row: WebhookDelivery) -> None:
    WebhookDelivery.objects.update(state=WebhookState.DELIVERED)
    page = act(admin_client, "webhookendpoint", "replay_failed", row.endpoint_id)
    assert "Nothing has failed in the last 30 days." in page
    assert "replayed" not in page
