"""What the endpoints of `webhooks` take and answer."""

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.webhook_events import ANY_EVENT
from accounts.choices import MESSAGE_STATUS, EventType, WebhookState
from accounts.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from accounts.webhooks.endpoints import CHOOSABLE, MAX_REPLAYED, REPLAYS_A_SECOND
from smsapp.api import statuses
from smsapp.api.fields import StatusField, ZonedDateTimeField
from smsapp.api.serializers import Answer, ModelAnswer, StrictSerializer

TYPES = [(kind.value, kind.label) for kind in CHOOSABLE]

EVENT_TYPES = (MESSAGE_STATUS, *EventType.values)


class WebhookChange(StrictSerializer):
    url = serializers.CharField(
        max_length=500,
        help_text="https, port 443 or 8443, a public server that answers 2xx within 15 seconds; redirects are not "
        "followed. E.g. `https://your-app.com/webhook`.",
    )
    event_types = serializers.ListField(
        child=serializers.ChoiceField(TYPES),
        required=False,
        default=list,
        max_length=len(TYPES),
        help_text="Events it gets. Empty or left out: all, also those to come. Results of messages arrive grouped, in "
        "bodies of type `message.status`, of which each message names its own `event`.",
    )
    description = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=120, help_text="For people, e.g. `Order system`."
    )
    show_numbers = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Phone numbers in full. Left out or false: only their country and last two digits.",
    )


class ReplayRequest(StrictSerializer):
    failed_since = ZonedDateTimeField(
        help_text="Events since then whose delivery failed, e.g. `2027-06-17T18:00:00Z`. They are kept for 30 days."
    )


class ReplayAnswer(Answer):
    replayed = serializers.IntegerField(
        help_text=f"Events that wait again, {REPLAYS_A_SECOND} a second. {MAX_REPLAYED}: there may be more, ask again."
    )


class WebhookSerializer(ModelAnswer[WebhookEndpoint]):
    event_types = serializers.ListField(
        child=serializers.ChoiceField(TYPES), help_text="Events it gets. Empty: all of them."
    )

    class Meta:
        model = WebhookEndpoint
        fields = (
            "endpoint_id",
            "kind",
            "mode",
            "url",
            "description",
            "event_types",
            "show_numbers",
            "is_active",
            "disabled_at",
            "disabled_reason",
            "failing_since",
            "failure_count",
            "slow_until",
            "old_secret_until",
            "created_at",
        )
        read_only_fields = fields
        extra_kwargs = {
            "endpoint_id": {"help_text": "Its id, e.g. `we_4be29c0d2a71f0c9d3a1`."},
            "kind": {"help_text": "`endpoint`: set up here. `callback`: the `callback_url` of sends."},
            "mode": {"help_text": "`live` or `test`: of the same mode as the key that made it."},
            "url": {"help_text": "Where events go."},
            "description": {"help_text": "For people, or null."},
            "show_numbers": {"help_text": "Whether phone numbers are sent in full."},
            "is_active": {"help_text": "false: switched off after failures or a 410; nothing goes out."},
            "disabled_at": {"help_text": "When it was switched off; null: it was not."},
            "disabled_reason": {"help_text": "Why, in words; null: it was not."},
            "failing_since": {"help_text": "The first failure since its last success; null: the last call succeeded."},
            "failure_count": {"help_text": "Failures since its last success."},
            "slow_until": {"help_text": "Nothing goes out before, since it answered too slowly or asked for a pause."},
            "old_secret_until": {"help_text": "Until when the secret before the last rotation signs, too."},
            "created_at": {"help_text": "When it was made."},
        }


class NewWebhook(WebhookSerializer):
    secret = serializers.CharField(
        help_text="Checks the signatures, e.g. `whsec_…`. Shown now and never again; a lost one is rotated."
    )

    class Meta(WebhookSerializer.Meta):
        fields = ("secret", *WebhookSerializer.Meta.fields)  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class CallbackSecret(Answer):
    secret = serializers.CharField(help_text="Checks the signatures of calls to any `callback_url`, e.g. `whsec_…`.")


class AttemptSerializer(ModelAnswer[WebhookAttempt]):
    class Meta:
        model = WebhookAttempt
        fields = ("started_at", "duration_ms", "http_status", "error", "response")
        read_only_fields = fields
        extra_kwargs = {
            "started_at": {"help_text": "When it began."},
            "duration_ms": {"help_text": "How long it took, in milliseconds."},
            "http_status": {"help_text": "What your server answered; null: nothing."},
            "error": {"help_text": "Why there was no answer; null: there was one."},
            "response": {"help_text": "The first 1,024 characters of the answer. Escape them before you show them."},
        }


class DeliverySerializer(ModelAnswer[WebhookDelivery]):
    status = StatusField(statuses.DELIVERY, source="state", help_text="What became of it so far.")
    last_http_status = serializers.IntegerField(
        source="last_status", read_only=True, allow_null=True, help_text="Of the last answer; null: none."
    )
    event_id = serializers.CharField(help_text="The header `webhook-id`: the same at every try and replay.")
    next_attempt_at = serializers.SerializerMethodField(help_text="When it is tried next; null: never again.")

    class Meta:
        model = WebhookDelivery
        fields = (
            "event_id",
            "event_type",
            "status",
            "attempt_count",
            "last_http_status",
            "created_at",
            "next_attempt_at",
            "delivered_at",
        )
        read_only_fields = fields
        extra_kwargs = {
            "event_type": {"help_text": "The body's `type`, e.g. `message.status`."},
            "attempt_count": {"help_text": "Tries so far, since it was made or last replayed."},
            "created_at": {"help_text": "When the event happened."},
            "delivered_at": {"help_text": "When your server answered 2xx; null: not yet."},
        }

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_attempt_at(self, delivery: WebhookDelivery) -> Any:
        if delivery.state != WebhookState.WAITING:
            return None
        return serializers.DateTimeField().to_representation(delivery.next_attempt_at)


class DeliveryDetail(DeliverySerializer):
    body = serializers.SerializerMethodField(help_text="The event as it is sent.")
    attempts = serializers.SerializerMethodField(help_text="The last 50 tries, the newest first.")

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "body", "attempts")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(ANY_EVENT)
    def get_body(self, delivery: WebhookDelivery) -> Any:
        return json.loads(delivery.body)

    @extend_schema_field(AttemptSerializer(many=True))
    def get_attempts(self, delivery: WebhookDelivery) -> Any:
        return AttemptSerializer(delivery.attempts.order_by("-pk")[:50], many=True).data
