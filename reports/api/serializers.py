"""Shapes of delivery reports."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from messaging.choices import MessageStatus
from messaging.models import Message
from reports.delivery_reports import ReportRow, reports_of


class ReportSerializer(serializers.Serializer[Any]):
    message_id = serializers.CharField(source="message.message_id")
    bulk_id = serializers.CharField(source="message.campaign.bulk_id")
    to = serializers.CharField(source="message.phone_number")
    status = serializers.SerializerMethodField(help_text="What this report made of the message.")
    reason = serializers.CharField(source="report.reason", help_text="Stable code; empty when nothing went wrong.")
    description = serializers.CharField(source="report.get_reason_display", help_text="The reason in words.")
    provider_status = serializers.CharField(source="report.provider_status")
    error_code = serializers.CharField(source="report.error_code")
    error_description = serializers.CharField(source="report.error_description")
    price = serializers.DecimalField(
        source="report.price", max_digits=12, decimal_places=6, allow_null=True, help_text="For the whole message."
    )
    currency = serializers.CharField(source="report.currency")
    done_at = serializers.DateTimeField(source="report.done_at", allow_null=True, help_text="The provider's time.")
    received_at = serializers.DateTimeField(source="report.received_at")

    def get_status(self, row: ReportRow) -> str:
        return MessageStatus(row.report.status).public


class ReportPage(serializers.Serializer[Any]):
    results = ReportSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class MessageReport(serializers.Serializer[Any]):
    """A message as it stands, with everything that was reported of it."""

    message_id = serializers.CharField()
    bulk_id = serializers.CharField(source="campaign.bulk_id")
    to = serializers.CharField(source="phone_number")
    message = serializers.CharField(source="text", help_text="The final text.")
    sender_id = serializers.CharField()
    segments = serializers.IntegerField(source="segment_count")
    status = serializers.SerializerMethodField()
    reason = serializers.CharField()
    error_message = serializers.CharField(help_text="The reason in words.")
    sent_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField()
    reports = serializers.SerializerMethodField()

    @extend_schema_field(ReportSerializer(many=True))
    def get_reports(self, message: Message) -> list[Any]:
        return list(ReportSerializer(reports_of(message), many=True).data)

    def get_status(self, message: Any) -> str:
        return MessageStatus(message.status).public
