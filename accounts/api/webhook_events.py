"""What arrives at an endpoint: each event a type of its own, told apart by `type`; the section `webhooks` of the
OpenAPI document."""

from typing import Any

from drf_spectacular.utils import OpenApiWebhook, PolymorphicProxySerializer, extend_schema, extend_schema_field
from rest_framework import serializers

from accounts.choices import MESSAGE_STATUS, EventType
from campaigns.choices import PauseReason
from messaging.choices import Reason
from smsapp.api import statuses
from smsapp.api.fields import StatusField
from smsapp.api.serializers import Answer
from smsapp.api.statuses import StatusCounts
from uploads.choices import OptOutSource

RESULTS = [kind for kind in EventType if kind.value.startswith("message.")]
SIGNED = (
    "Signed as Standard Webhooks 1.0.0: headers `webhook-id` (the same at every try: skip what you have seen), "
    "`webhook-timestamp`, `webhook-signature`. Answer 2xx within 15 seconds. Delivered at least once, in no promised "
    "order; tried again after 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 hours."
)


class MessageResult(Answer):
    event = serializers.ChoiceField(
        [(kind.value, kind.label) for kind in RESULTS], help_text="What happened; endpoints choose by it."
    )
    message_id = serializers.CharField(help_text="As the send answered it.")
    to = serializers.CharField(help_text="The recipient, e.g. `+49*********78`; in full with `show_numbers`.")
    status = StatusField(statuses.MESSAGE, help_text="Its status now.")
    previous_status = StatusField(statuses.MESSAGE, allow_null=True, help_text="Its status before; null: it began so.")
    is_final = serializers.BooleanField(help_text="Whether nothing more is awaited; a late proof may still correct it.")
    reason = serializers.ChoiceField(
        [(reason.value, reason.label) for reason in Reason if reason.value],
        allow_null=True,
        help_text="Why it was not delivered; null when nothing went wrong.",
    )
    error_message = serializers.CharField(allow_null=True, help_text="The reason in words, or null; may change.")
    detail = serializers.CharField(allow_null=True, help_text="The provider's code, or what the reason names; or null.")
    segments = serializers.IntegerField(help_text="Billed units.")
    price = serializers.DecimalField(
        max_digits=20,
        decimal_places=6,
        allow_null=True,
        help_text="What you pay for it, e.g. `0.090000`; 0 if no provider took it. null: your account does not pay by "
        "message.",
    )
    currency = serializers.CharField(allow_null=True, help_text="ISO 4217, e.g. `EUR`; null without a price.")
    sequence = serializers.IntegerField(
        help_text="Rises with every change of a message: keep the highest and you have the truth."
    )
    occurred_at = serializers.DateTimeField(help_text="When it happened.")


class MessageStatusData(Answer):
    bulk_id = serializers.CharField(help_text="The send or campaign, one for all messages of a body.")
    client_reference = serializers.CharField(allow_null=True, help_text="Your own name for it, or null.")
    messages = MessageResult(many=True, help_text="1 to 100 messages; a body is smaller than 20 KB.")


class CampaignEventData(Answer):
    bulk_id = serializers.CharField(help_text="The campaign.")
    client_reference = serializers.CharField(allow_null=True, help_text="Your own name for it, or null.")
    name = serializers.CharField(allow_null=True, help_text="For your own eyes, or null.")
    status = StatusField(statuses.CAMPAIGN, help_text="Its status now.")
    pause_reason = serializers.ChoiceField(
        PauseReason.choices, allow_null=True, help_text="Why it is paused; null: it is not."
    )
    status_detail = serializers.CharField(allow_null=True, help_text="More of its status, in words; or null.")
    total_recipients = serializers.IntegerField(help_text="Numbers it goes to, before opt-outs.")
    messages_by_status = StatusCounts(help_text="Messages by what has become of them so far.")


class UploadEventData(Answer):
    upload_id = serializers.CharField(help_text="The upload.")
    filename = serializers.CharField(help_text="As it was given.")
    status = StatusField(statuses.UPLOAD, help_text="Its status now.")
    row_count = serializers.IntegerField(help_text="Rows that were read.")
    phone_count = serializers.IntegerField(help_text="Recipients: valid numbers, each once.")
    invalid_count = serializers.IntegerField(help_text="Rows that are no recipients.")
    duplicate_count = serializers.IntegerField(help_text="Rows that repeat a number.")
    failure_reason = serializers.CharField(allow_null=True, help_text="Why it could not be read; null if it could.")


class BalanceLowData(Answer):
    balance = serializers.DecimalField(max_digits=25, decimal_places=6, help_text="Credit that is left.")
    low_balance_threshold = serializers.DecimalField(
        max_digits=25, decimal_places=6, help_text="What it has fallen below."
    )
    currency = serializers.CharField(help_text="ISO 4217, e.g. `EUR`.")


class InboundReceivedData(Answer):
    inbound_id = serializers.CharField(help_text="The inbound message.")
    phone_number = serializers.CharField(help_text="Who wrote, in E.164 with plus.")
    recipient = serializers.CharField(help_text="The number or short code of yours that it was sent to.")
    text = serializers.CharField(allow_null=True, help_text="As it was written; null: nothing.")
    keyword = serializers.CharField(allow_null=True, help_text="Its first word in capitals, e.g. `STOP`; or null.")
    segments = serializers.IntegerField(help_text="As the provider counts.")
    reply_to_message_id = serializers.CharField(
        allow_null=True, help_text="The message that it most likely answers, or null."
    )
    received_at = serializers.DateTimeField(help_text="When the provider had it.")


class OptoutReceivedData(Answer):
    phone_number = serializers.CharField(help_text="Who opted out, in E.164 with plus.")
    source = serializers.ChoiceField(OptOutSource.choices, help_text="How.")  # type: ignore[assignment]
    detail = serializers.CharField(allow_null=True, help_text="What was written or said, or null.")


class AccountHeldData(Answer):
    hold_reason = serializers.CharField(help_text="Why, in words.")


class SpendAlertData(Answer):
    percent = serializers.IntegerField(help_text="Of the day's limit, so much is spent, e.g. 80.")
    spent = serializers.DecimalField(max_digits=25, decimal_places=6, help_text="Today so far, in `currency`.")
    limit = serializers.DecimalField(max_digits=25, decimal_places=6, help_text="Of a day, in `currency`.")
    currency = serializers.CharField(help_text="ISO 4217, e.g. `EUR`.")


class EndpointDisabledData(Answer):
    endpoint_id = serializers.CharField(help_text="The endpoint that was switched off.")
    url = serializers.CharField(help_text="Its address.")
    disabled_reason = serializers.CharField(help_text="Why, in words.")


class PingData(Answer):
    endpoint_id = serializers.CharField(help_text="The endpoint that is tried.")


#: Event types and the shape of their data. Events of messages arrive together, in bodies of type `message.status`.
DATA: dict[str, type[Answer]] = {
    MESSAGE_STATUS: MessageStatusData,
    EventType.CAMPAIGN_STARTED: CampaignEventData,
    EventType.CAMPAIGN_PAUSED: CampaignEventData,
    EventType.CAMPAIGN_COMPLETED: CampaignEventData,
    EventType.CAMPAIGN_CANCELLED: CampaignEventData,
    EventType.UPLOAD_COMPLETED: UploadEventData,
    EventType.UPLOAD_FAILED: UploadEventData,
    EventType.BALANCE_LOW: BalanceLowData,
    EventType.INBOUND_RECEIVED: InboundReceivedData,
    EventType.OPTOUT_RECEIVED: OptoutReceivedData,
    EventType.ACCOUNT_HELD: AccountHeldData,
    EventType.SPEND_ALERT: SpendAlertData,
    EventType.ENDPOINT_DISABLED: EndpointDisabledData,
    EventType.PING: PingData,
}


def _name_of(event_type: str) -> str:
    """`campaign.started` as `CampaignStarted`."""
    return "".join(part.title() for part in event_type.split("."))


def _event(event_type: str, data: type[Answer]) -> type[Answer]:
    @extend_schema_field({"type": "string", "const": str(event_type)})
    class TypeField(serializers.CharField):
        pass

    parts = {
        "type": TypeField(help_text=f"Always `{event_type}`."),
        "timestamp": serializers.DateTimeField(help_text="When it happened."),
        "data": data(help_text="The facts."),
    }
    return type(f"{_name_of(event_type)}Event", (Answer,), parts)


EVENTS: dict[str, serializers.Serializer[Any] | type[serializers.Serializer[Any]]] = {
    str(event_type): _event(event_type, data) for event_type, data in DATA.items()
}
#: Any of them, told apart by `type`.
ANY_EVENT = PolymorphicProxySerializer("WebhookEvent", EVENTS, "type")


def _webhook(event_type: str) -> OpenApiWebhook:
    summary = "Results of messages" if event_type == MESSAGE_STATUS else str(EventType(event_type).label)
    return OpenApiWebhook(
        event_type,
        extend_schema(
            operation_id=f"webhook_{event_type.replace('.', '_')}",
            summary=summary,
            tags=["webhooks"],
            description=SIGNED,
            request=EVENTS[event_type],
            responses={204: None},
        ),
    )


WEBHOOKS: list[OpenApiWebhook] = [_webhook(event_type) for event_type in EVENTS]
