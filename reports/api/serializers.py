"""Shapes of delivery reports."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from messaging.choices import MessageStatus
from messaging.models import Message
from reports.delivery_reports import ReportRow, reports_of


class ReportSerializer(serializers.Serializer[Any]):
    message_id = serializers.CharField(source="message.message_id", help_text="As the send answered it.")
    bulk_id = serializers.CharField(source="message.campaign.bulk_id", help_text="Of its send or campaign.")
    client_reference = serializers.CharField(
        source="message.campaign.client_reference", allow_null=True, help_text="Your own name for the send, or null."
    )
    to = serializers.CharField(source="message.phone_number", help_text="E.164, with plus.")
    status = serializers.SerializerMethodField(help_text="What this report made of the message.")
    reason = serializers.CharField(source="report.reason", help_text="Stable code; empty when nothing went wrong.")
    description = serializers.SerializerMethodField(help_text="The reason in words; empty when nothing went wrong.")
    provider_status = serializers.CharField(
        source="report.provider_status", help_text="The provider's own word for it."
    )
    error_code = serializers.CharField(source="report.error_code", help_text="The provider's; empty if there is none.")
    error_description = serializers.CharField(source="report.error_description", help_text="The provider's words.")
    price = serializers.DecimalField(
        source="report.price", max_digits=12, decimal_places=6, allow_null=True, help_text="For the whole message."
    )
    currency = serializers.CharField(source="report.currency", help_text="ISO 4217, e.g. `EUR`; empty without a price.")
    done_at = serializers.DateTimeField(source="report.done_at", allow_null=True, help_text="The provider's time.")
    received_at = serializers.DateTimeField(source="report.received_at", help_text="When the report came to us.")

    @extend_schema_field({"type": "string", "enum": [status.public for status in MessageStatus]})
    def get_status(self, row: ReportRow) -> str:
        return MessageStatus(row.report.status).public

    def get_description(self, row: ReportRow) -> str:
        return str(row.report.get_reason_display()) if row.report.reason else ""


class ReportPage(serializers.Serializer[Any]):
    results = ReportSerializer(many=True, help_text="The reports of this page, those of the newest messages first.")
    next = serializers.URLField(allow_null=True, help_text="Where the next page is; null at the end.")


class MessageReport(serializers.Serializer[Any]):
    """A message as it stands, with everything that was reported of it."""

    message_id = serializers.CharField(help_text="As the send answered it.")
    bulk_id = serializers.CharField(source="campaign.bulk_id", help_text="Of its send or campaign.")
    client_reference = serializers.CharField(
        source="campaign.client_reference", allow_null=True, help_text="Your own name for the send, or null."
    )
    request_id = serializers.CharField(source="campaign.request_id", help_text="X-Request-Id of the call that sent it.")
    to = serializers.CharField(source="phone_number", help_text="E.164, with plus.")
    message = serializers.CharField(source="text", help_text="The final text.")
    sender_id = serializers.CharField(help_text="Empty: the provider chose.")
    segments = serializers.IntegerField(
        source="segment_count", help_text="Billed units; 0 until the text is filled in."
    )
    status = serializers.SerializerMethodField(help_text="What has become of it.")
    reason = serializers.CharField(help_text="Stable code; empty when nothing went wrong.")
    error_message = serializers.CharField(help_text="The reason in words.")
    sent_at = serializers.DateTimeField(allow_null=True, help_text="When the provider took it.")
    delivered_at = serializers.DateTimeField(allow_null=True, help_text="When the handset had it.")
    reports = serializers.SerializerMethodField(help_text="Everything that was reported of it, oldest first.")

    @extend_schema_field(ReportSerializer(many=True))
    def get_reports(self, message: Message) -> list[Any]:
        return list(ReportSerializer(reports_of(message), many=True).data)

    @extend_schema_field({"type": "string", "enum": [status.public for status in MessageStatus]})
    def get_status(self, message: Any) -> str:
        return MessageStatus(message.status).public
