"""The section `webhooks` of the OpenAPI document: what arrives at an endpoint."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiWebhook, extend_schema
from rest_framework import serializers

from accounts.choices import MESSAGE_STATUS, EventType

MESSAGE_EVENTS = [(kind.value, kind.label) for kind in EventType if kind.value.startswith("message.")]
SIGNED = (
    "Signed as Standard Webhooks 1.0.0: headers `webhook-id` (the same at every try: leave out what you have seen), "
    "`webhook-timestamp`, `webhook-signature`. Answer 2xx within 15 seconds. Delivered at least once, in no promised "
    "order; tried again after 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 hours."
)


class ResultError(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Stable, e.g. `unreachable`.")
    message = serializers.CharField(help_text="The same in words; may change.")
    detail = serializers.CharField(help_text="The provider's code, or what the reason names; may be empty.")


class MessageResult(serializers.Serializer[Any]):
    event = serializers.ChoiceField(MESSAGE_EVENTS, help_text="What happened; endpoints choose by it.")
    message_id = serializers.CharField(help_text="As the send answered it.")
    to = serializers.CharField(help_text="The recipient, e.g. `+49*********78`; in full with `show_numbers`.")
    status = serializers.CharField(help_text="Its status now, e.g. `DELIVERED`.")
    previous_status = serializers.CharField(allow_null=True, help_text="Its status before; null: it began so.")
    error = ResultError(allow_null=True, help_text="Why it was not delivered; null: nothing went wrong.")
    segments = serializers.IntegerField(help_text="Billed units.")
    price = serializers.DecimalField(
        max_digits=20, decimal_places=6, allow_null=True,
        help_text="What you pay for it, e.g. `0.090000`; 0 if no provider took it. null: your account does not pay by "
        "message.",
    )  # fmt: skip
    currency = serializers.CharField(allow_null=True, help_text="ISO 4217, e.g. `EUR`; null without a price.")
    sequence = serializers.IntegerField(
        help_text="Rises with every change of a message: keep the highest and you have the truth."
    )
    occurred_at = serializers.DateTimeField(help_text="When it happened, in UTC.")


class MessageStatusData(serializers.Serializer[Any]):
    bulk_id = serializers.CharField(help_text="The send or campaign, one for all messages of a body.")
    client_reference = serializers.CharField(allow_null=True, help_text="Your own name for it, if you gave one.")
    messages = MessageResult(many=True, help_text="1 to 100 messages; a body is smaller than 20 KB.")


class MessageStatusEvent(serializers.Serializer[Any]):
    type = serializers.ChoiceField([MESSAGE_STATUS], help_text="Always `message.status`.")
    timestamp = serializers.DateTimeField(help_text="When the body was made, in UTC.")
    data = MessageStatusData(help_text="The results.")  # type: ignore[assignment]


class OtherEvent(serializers.Serializer[Any]):
    type = serializers.ChoiceField(
        [(kind.value, kind.label) for kind in EventType if not kind.value.startswith("message.")],
        help_text="What happened.",
    )
    timestamp = serializers.DateTimeField(help_text="When it happened, in UTC.")
    data = serializers.DictField(  # type: ignore[assignment]
        help_text="Of a campaign: `bulk_id`, `client_reference`, `name`, `status`, `pause_reason`, `status_detail`, "
        "`total_recipients` and messages by status. Of an upload: `upload_id`, `filename`, `status`, `rows`, "
        "`phone_count`, `invalid_count`, `duplicate_count`, `failure_reason`. Of an endpoint: `id`, `url`, `reason`."
    )


DELIVERED = OpenApiExample(
    "One message was delivered",
    {
        "type": "message.status",
        "timestamp": "2027-06-17T18:00:04Z",
        "data": {
            "bulk_id": "bulk-3f1c09a27d5e4b86a1c2",
            "client_reference": "order-4711",
            "messages": [
                {
                    "event": "message.delivered", "message_id": "k3v7q2m5x4wz6", "to": "+49*********78",
                    "status": "DELIVERED", "previous_status": "SENT", "error": None, "segments": 1,
                    "price": "0.090000", "currency": "EUR", "sequence": 3, "occurred_at": "2027-06-17T18:00:03Z",
                }
            ],
        },
    },
)  # fmt: skip
COMPLETED = OpenApiExample(
    "An upload was read",
    {
        "type": "upload.completed",
        "timestamp": "2027-06-17T18:00:04Z",
        "data": {
            "upload_id": "upl-k3v7q2m5x4wz6abc", "filename": "spring.csv", "status": "ready", "rows": 1000,
            "phone_count": 990, "invalid_count": 6, "duplicate_count": 4, "failure_reason": "",
        },
    },
)  # fmt: skip

message_status = OpenApiWebhook(
    "message.status",
    extend_schema(
        operation_id="webhook_message_status", summary="Results of messages", tags=["webhooks"], description=SIGNED,
        request=MessageStatusEvent, responses={204: None}, examples=[DELIVERED],
    ),
)  # fmt: skip
other = OpenApiWebhook(
    "event",
    extend_schema(
        operation_id="webhook_event", summary="Campaigns, uploads, balance, replies", tags=["webhooks"],
        description=SIGNED, request=OtherEvent, responses={204: None}, examples=[COMPLETED],
    ),
)  # fmt: skip
