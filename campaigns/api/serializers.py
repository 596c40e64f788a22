"""Shapes of campaigns, and the options that every sending call takes."""

from typing import Any

from rest_framework import serializers

from campaigns.models import Campaign
from campaigns.tally import COUNTED_STATUSES
from smsapp.api.fields import ZonedDateTimeField
from smsapp.api.serializers import StrictSerializer
from smsapp.exceptions import TooManyRecipients
from uploads.api.serializers import RefusedRow

MAX_NUMBERS = 10_000


class SendOptions(StrictSerializer):
    """What a single send and a bulk campaign have in common."""

    message = serializers.CharField(
        trim_whitespace=False, max_length=None, help_text="1 to 1,600 characters. Longer than one SMS is split."
    )
    sender_id = serializers.CharField(
        required=False, default="", help_text="Approved sender of your account; left out, the provider chooses."
    )
    name = serializers.CharField(required=False, default="", max_length=120, help_text="For your own eyes.")
    schedule_time = ZonedDateTimeField(
        required=False, default=None, allow_null=True, help_text="ISO 8601 with zone; left out, it is sent at once."
    )
    valid_until = ZonedDateTimeField(
        required=False, default=None, allow_null=True, help_text="Nothing is handed over after this time."
    )
    callback_url = serializers.URLField(
        required=False, default="", max_length=500,
        help_text="Kept with the send for status callbacks, which this version does not make yet.",
    )  # fmt: skip


class BulkRequest(SendOptions):
    phone_numbers = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, allow_empty=False,
        help_text=f"Up to {MAX_NUMBERS:,} numbers; or an upload.",
    )  # fmt: skip
    upload_id = serializers.CharField(required=False, help_text="A ready upload, whose columns fill {placeholders}.")

    def validate_phone_numbers(self, numbers: list[str]) -> list[str]:
        if len(numbers) > MAX_NUMBERS:
            raise TooManyRecipients(
                f"{len(numbers)} numbers were given; {MAX_NUMBERS} are allowed here. Upload a file for more.",
                "phone_numbers", len(numbers), max=MAX_NUMBERS,
            )  # fmt: skip
        return numbers

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if ("phone_numbers" in data) == ("upload_id" in data):
            raise serializers.ValidationError({"phone_numbers": ["Give either phone_numbers or upload_id."]})
        return data


class CampaignSerializer(serializers.ModelSerializer[Campaign]):
    waiting = serializers.IntegerField(read_only=True, help_text="Recipients not yet expanded into messages.")
    successful_count = serializers.IntegerField(read_only=True, help_text="Delivered.")
    failed_count = serializers.IntegerField(read_only=True, help_text="Ended without delivery.")
    scheduled_time = serializers.DateTimeField(source="scheduled_at", read_only=True)

    class Meta:
        model = Campaign
        fields = (
            "bulk_id", "kind", "mode", "name", "message", "sender_id", "status", "pause_reason", "status_detail",
            "total_recipients", "successful_count", "failed_count", "waiting", *COUNTED_STATUSES,
            "scheduled_time", "valid_until", "created_at", "started_at", "completed_at", "closed_at",
        )  # fmt: skip
        read_only_fields = fields


class BulkAnswer(CampaignSerializer):
    refused_count = serializers.IntegerField()
    refused = RefusedRow(many=True, help_text="The first 100 numbers of the request that are no recipients, and why.")

    class Meta(CampaignSerializer.Meta):
        fields = (*CampaignSerializer.Meta.fields, "refused_count", "refused")  # type: ignore[assignment]
