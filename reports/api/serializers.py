"""Shapes of messages and their delivery reports, as the document shows them; `rows.py` fills them."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from messaging.choices import MessageStatus

STATUSES = {status.public: status for status in MessageStatus}


@extend_schema_field({"type": "string", "enum": list(STATUSES)})
class StatusField(serializers.CharField):
    """The public name of a message's status."""


class PriceField(serializers.DecimalField):
    """An amount of the account's currency."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=20, decimal_places=6, allow_null=True, **options)


class CurrencyField(serializers.CharField):
    def __init__(self) -> None:
        super().__init__(allow_null=True, help_text="ISO 4217, e.g. `EUR`; null without a price.")


class MessageSerializer(serializers.Serializer[Any]):
    message_id = serializers.CharField(help_text="As the send answered it.")
    bulk_id = serializers.CharField(help_text="Of its send or campaign.")
    client_reference = serializers.CharField(allow_null=True, help_text="Your own name for the send, or null.")
    to = serializers.CharField(help_text="E.164, with plus.")
    message = serializers.CharField(help_text="The final text.")
    sender_id = serializers.CharField(help_text="Empty: the provider chose.")
    segments = serializers.IntegerField(help_text="Billed units; 0 until the text is filled in.")
    price = PriceField(
        help_text="What you pay for it, e.g. `0.090000`; 0 if no provider took it. null: not known yet, or your "
        "account does not pay by message."
    )  # fmt: skip
    currency = CurrencyField()
    status = StatusField(help_text="What has become of it.")
    reason = serializers.CharField(help_text="Stable code; empty when nothing went wrong.")
    error_message = serializers.CharField(help_text="The reason in words.")
    row = serializers.IntegerField(help_text="Its row in the file, or place in the request, from 1.")
    created_at = serializers.DateTimeField(help_text="When its send was accepted.")
    sent_at = serializers.DateTimeField(allow_null=True, help_text="When the provider took it.")
    delivered_at = serializers.DateTimeField(allow_null=True, help_text="When the handset had it.")


class MessagePage(serializers.Serializer[Any]):
    results = MessageSerializer(many=True, help_text="The messages of this page, newest first.")
    next = serializers.URLField(allow_null=True, help_text="Where the next page is; null at the end.")


class Fact(serializers.Serializer[Any]):
    label = serializers.CharField(help_text="What it is, e.g. `Provider's status`.")  # type: ignore[assignment]
    value = serializers.CharField(help_text="As the provider names it.")


class TimelineStep(serializers.Serializer[Any]):
    at = serializers.DateTimeField(help_text="When it happened.")
    title = serializers.CharField(help_text="What happened, in words; may change.")
    detail = serializers.CharField(help_text="More of it, in words.")
    facts = Fact(many=True, help_text="Codes and references, as the provider names them.")


class MessageWithTimeline(MessageSerializer):
    request_id = serializers.CharField(help_text="X-Request-Id of the call that sent it.")
    timeline = TimelineStep(many=True, help_text="Its whole story, oldest first.")


class ReportSerializer(serializers.Serializer[Any]):
    message_id = serializers.CharField(help_text="As the send answered it.")
    bulk_id = serializers.CharField(help_text="Of its send or campaign.")
    client_reference = serializers.CharField(allow_null=True, help_text="Your own name for the send, or null.")
    to = serializers.CharField(help_text="E.164, with plus.")
    status = StatusField(help_text="What this report made of the message.")
    reason = serializers.CharField(help_text="Stable code; empty when nothing went wrong.")
    description = serializers.CharField(help_text="The reason in words; empty when nothing went wrong.")
    provider_status = serializers.CharField(help_text="The provider's own word for it.")
    error_code = serializers.CharField(help_text="The provider's; empty if there is none.")
    error_description = serializers.CharField(help_text="The provider's words.")
    price = PriceField(
        help_text="What you pay for the whole message, as of this report. null: your account does not pay by message."
    )
    currency = CurrencyField()
    done_at = serializers.DateTimeField(allow_null=True, help_text="The provider's time.")
    received_at = serializers.DateTimeField(help_text="When the report came to us.")


class ReportPage(serializers.Serializer[Any]):
    results = ReportSerializer(many=True, help_text="The reports of this page, those of the newest messages first.")
    next = serializers.URLField(allow_null=True, help_text="Where the next page is; null at the end.")


class MessageReport(MessageSerializer):
    """A message as it stands, with everything that was reported of it."""

    request_id = serializers.CharField(help_text="X-Request-Id of the call that sent it.")
    reports = ReportSerializer(many=True, help_text="Everything that was reported of it, oldest first.")
