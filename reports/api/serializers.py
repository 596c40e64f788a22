"""Shapes of messages and their delivery reports, as the document shows them; `rows.py` fills them."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from messaging.choices import MessageStatus, Reason
from reports.selectors.delivery_reports import REPORTED
from smsapp.api import statuses
from smsapp.api.fields import NextField, StatusField
from smsapp.api.serializers import Answer

STATUSES = {status.public: status for status in MessageStatus}
REPORTED_AS = {status.public: status for status in REPORTED}


class ReasonField(serializers.ChoiceField):
    def __init__(self) -> None:
        reasons = [(reason.value, reason.label) for reason in Reason if reason.value]
        super().__init__(reasons, allow_null=True, help_text="Why it went wrong; null when nothing did.")


class PriceField(serializers.DecimalField):
    """An amount of the account's currency."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=20, decimal_places=6, allow_null=True, **options)


class CurrencyField(serializers.CharField):
    def __init__(self) -> None:
        super().__init__(allow_null=True, help_text="ISO 4217, e.g. `EUR`; null without a price.")


class MessageSerializer(Answer):
    message_id = serializers.CharField(help_text="As the send answered it.")
    bulk_id = serializers.CharField(help_text="Of its send or campaign.")
    client_reference = serializers.CharField(allow_null=True, help_text="Your own name for the send, or null.")
    to = serializers.CharField(help_text="E.164, with plus.")
    message = serializers.CharField(help_text="The final text.")
    sender_id = serializers.CharField(allow_null=True, help_text="What the handset shows; null: the provider chose.")
    segments = serializers.IntegerField(help_text="Billed units; 0 until the text is filled in.")
    price = PriceField(
        help_text="What you pay for it, e.g. `0.090000`; 0 if no provider took it. null: not known yet, or your "
        "account does not pay by message."
    )
    currency = CurrencyField()
    status = StatusField(statuses.MESSAGE, help_text="What has become of it.")
    is_final = serializers.BooleanField(help_text="Whether nothing more is awaited; a late proof may still correct it.")
    reason = ReasonField()
    error_message = serializers.CharField(allow_null=True, help_text="The reason in words, or null; may change.")
    detail = serializers.CharField(allow_null=True, help_text="The provider's code, or what the reason names; or null.")
    row = serializers.IntegerField(help_text="Its row in the file, or place in the request, from 1.")
    created_at = serializers.DateTimeField(help_text="When its send was accepted.")
    sent_at = serializers.DateTimeField(allow_null=True, help_text="When the provider took it.")
    delivered_at = serializers.DateTimeField(allow_null=True, help_text="When the handset had it.")


@extend_schema_serializer(many=False)
class MessagePage(Answer):
    results = MessageSerializer(many=True, help_text="The messages of this page, newest first.")
    next = NextField()


class Fact(Answer):
    label = serializers.CharField(help_text="What it is, e.g. `Provider's status`.")  # type: ignore[assignment]
    value = serializers.CharField(help_text="As the provider names it.")


class TimelineStep(Answer):
    occurred_at = serializers.DateTimeField(help_text="When it happened.")
    title = serializers.CharField(help_text="What happened, in words; may change.")
    detail = serializers.CharField(allow_null=True, help_text="More of it, in words; or null.")
    facts = Fact(many=True, help_text="Codes and references, as the provider names them.")


class MessageWithTimeline(MessageSerializer):
    request_id = serializers.CharField(allow_null=True, help_text="X-Request-Id of the call that sent it, or null.")
    timeline = TimelineStep(many=True, help_text="Its whole story, oldest first.")


class ReportSerializer(Answer):
    message_id = serializers.CharField(help_text="As the send answered it.")
    bulk_id = serializers.CharField(help_text="Of its send or campaign.")
    client_reference = serializers.CharField(allow_null=True, help_text="Your own name for the send, or null.")
    to = serializers.CharField(help_text="E.164, with plus.")
    status = StatusField(statuses.MESSAGE, help_text="What this report made of the message.")
    reason = ReasonField()
    error_message = serializers.CharField(allow_null=True, help_text="The reason in words, or null; may change.")
    provider_status = serializers.CharField(allow_null=True, help_text="The provider's own word for it, or null.")
    error_code = serializers.CharField(allow_null=True, help_text="The provider's, or null.")
    error_description = serializers.CharField(allow_null=True, help_text="The provider's words, or null.")
    price = PriceField(
        help_text="What you pay for the whole message, as of this report. null: your account does not pay by message."
    )
    currency = CurrencyField()
    done_at = serializers.DateTimeField(allow_null=True, help_text="The provider's time.")
    received_at = serializers.DateTimeField(help_text="When the report came to us.")


@extend_schema_serializer(many=False)
class ReportPage(Answer):
    results = ReportSerializer(many=True, help_text="The reports of this page, those of the newest messages first.")
    next = NextField()


class MessageReport(MessageSerializer):
    """A message as it stands, with everything that was reported of it."""

    request_id = serializers.CharField(allow_null=True, help_text="X-Request-Id of the call that sent it, or null.")
    reports = ReportSerializer(many=True, help_text="Everything that was reported of it, oldest first.")
