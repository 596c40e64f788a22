"""Shapes of campaigns and templates, and the options that every sending call takes."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from campaigns.choices import PauseReason
from campaigns.models import Campaign
from campaigns.validation import MAX_CANARY_WAIT
from messaging.sending.resending import ON_REQUEST
from smsapp.api import statuses
from smsapp.api.fields import ClientReferenceField, StatusField, WallTimeField, ZonedDateTimeField
from smsapp.api.openapi.rules import all_of, at_most_one, exactly_one
from smsapp.api.serializers import ModelAnswer, StrictSerializer
from smsapp.api.statuses import StatusCounts
from smsapp.core.exceptions import TooManyRecipients
from uploads.api.serializers import RefusedRow
from uploads.choices import AudienceSource

MAX_NUMBERS = 10_000
RECIPIENT_SOURCES = [source.value for source in AudienceSource if source is not AudienceSource.EMPTY]


class SendOptions(StrictSerializer):
    """What a single send and a bulk campaign have in common."""

    message = serializers.CharField(
        trim_whitespace=False,
        max_length=None,
        help_text="1 to 1,600 characters, sent as written; a tab as a blank. Split where it is longer than one SMS.",
    )
    sender_id = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        help_text="Approved sender of your account, e.g. `YourBrand`; left out, the provider chooses.",
    )
    name = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=120, help_text="For your own eyes."
    )
    schedule_time = ZonedDateTimeField(
        required=False,
        default=None,
        allow_null=True,
        help_text="ISO 8601 with zone, e.g. `2027-06-17T18:00:00Z`; left out, it is sent at once.",
    )
    valid_until = ZonedDateTimeField(
        required=False, default=None, allow_null=True, help_text="Nothing is handed over after this time."
    )
    callback_url = serializers.URLField(
        required=False,
        default="",
        allow_blank=True,
        max_length=500,
        help_text="Where results of this send go, signed with the callback secret of your account (see `webhooks`). "
        "https, port 443 or 8443, a public server; e.g. `https://your-app.com/webhook`.",
    )
    client_reference = ClientReferenceField()


TEXT = ("message", "template_id")
RECIPIENTS = ("phone_numbers", "upload_id", "list_id")
ONE_TEXT = "Give either message or template_id."
ONE_AUDIENCE = "Give one of phone_numbers, upload_id and list_id."


class CampaignOptions(SendOptions):
    """All of them may be left out, and are in a change. What must be there is said by the forms below."""

    partial_rules = all_of(at_most_one(*TEXT), at_most_one(*RECIPIENTS))
    message = serializers.CharField(
        required=False,
        trim_whitespace=False,
        max_length=None,
        help_text="The text, with `{placeholders}` filled from the columns of the recipients. 1 to 1,600 characters.",
    )
    template_id = serializers.CharField(
        required=False, max_length=40, help_text="Instead of `message`: a template, whose text is copied."
    )
    phone_numbers = serializers.ListField(
        child=serializers.CharField(max_length=40),
        required=False,
        allow_empty=False,
        help_text=f"Up to {MAX_NUMBERS:,} numbers; or an upload, or a contact list.",
    )
    upload_id = serializers.CharField(
        required=False, max_length=40, help_text="A ready upload, whose columns fill `{placeholders}`."
    )
    list_id = serializers.CharField(
        required=False, max_length=40, help_text="A contact list: its contacts as they are at this moment."
    )

    quiet_from = WallTimeField(
        help_text="With `quiet_until`, e.g. `21:00`: in between, on the recipient's clock, nothing is handed over; it "
        "follows afterwards. Left out: as your account or the country has it."
    )
    quiet_until = WallTimeField(help_text="E.g. `08:00`.")
    canary_size = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        min_value=1,
        max_value=10**6,
        help_text="How many recipients are sent to first, e.g. 200. The others wait for their results.",
    )
    canary_percent = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        min_value=1,
        max_value=50,
        help_text="Or their share in percent, e.g. 5.",
    )
    canary_wait_seconds = serializers.IntegerField(
        required=False,
        default=900,
        min_value=60,
        max_value=MAX_CANARY_WAIT,
        help_text="How long delivery reports on the first are waited for.",
    )
    canary_floor_percent = serializers.IntegerField(
        required=False,
        default=80,
        min_value=1,
        max_value=100,
        help_text="Of a hundred of the first, so many must be delivered; else the campaign is paused.",
    )

    def validate_phone_numbers(self, numbers: list[str]) -> list[str]:
        if len(numbers) > MAX_NUMBERS:
            raise TooManyRecipients(
                f"{len(numbers)} numbers were given; {MAX_NUMBERS} are allowed here. Upload a file for more.",
                "phone_numbers",
                len(numbers),
                max=MAX_NUMBERS,
            )
        return numbers

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if wrong := self.wrong_choices(data):
            raise serializers.ValidationError({name: [words] for name, words in wrong.items()})
        return data

    def wrong_choices(self, data: Mapping[str, Any]) -> dict[str, str]:
        """What is to be said of fields of which one is to be given, by the field that is named."""
        wrong = {}
        if "message" in data and "template_id" in data:
            wrong["template_id"] = ONE_TEXT
        if sum(name in data for name in RECIPIENTS) > 1:
            wrong["phone_numbers"] = ONE_AUDIENCE
        return wrong

    def missing_choices(self, data: Mapping[str, Any]) -> dict[str, str]:
        """The same of those of which none is given."""
        return {
            name: ErrorDetail(words, code="required")
            for name, fields, words in (
                ("message", TEXT, ONE_TEXT),
                ("phone_numbers", RECIPIENTS, ONE_AUDIENCE),
            )
            if not set(fields) & set(data)
        }


class DraftRequest(CampaignOptions):
    """The recipients of a draft may be given later."""

    rules = all_of(exactly_one(*TEXT), at_most_one(*RECIPIENTS))

    def wrong_choices(self, data: Mapping[str, Any]) -> dict[str, str]:
        missing = {} if self.partial else self.missing_choices(data)
        missing.pop("phone_numbers", None)
        return super().wrong_choices(data) | missing


class BulkRequest(DraftRequest):
    rules = all_of(exactly_one(*TEXT), exactly_one(*RECIPIENTS))

    def wrong_choices(self, data: Mapping[str, Any]) -> dict[str, str]:
        return super().wrong_choices(data) | self.missing_choices(data)


class Comment(serializers.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=200, help_text="Kept in the history of the campaign.", **options)


class ApproveRequest(StrictSerializer):
    approval_hash = serializers.CharField(
        required=False,
        default="",
        max_length=64,
        help_text="`approval_hash` of the campaign as you have seen it: refused if it is another by now.",
    )
    comment = Comment(required=False, default="")


class RejectRequest(StrictSerializer):
    comment = Comment()


class ResendRequest(StrictSerializer):
    also = serializers.ListField(
        child=serializers.ChoiceField([status.public for status in ON_REQUEST]),
        required=False,
        default=list,
        help_text="Sent again beside what failed. An UNCONFIRMED message may have arrived: its recipient may get it "
        "twice.",
    )


class NothingMore(StrictSerializer):
    """The body of an action that takes none."""


class CampaignSerializer(ModelAnswer[Campaign]):
    name = serializers.CharField(read_only=True, allow_null=True, help_text="For your own eyes, or null.")
    status = StatusField(statuses.CAMPAIGN, help_text="Where it stands.")
    recipients_from = serializers.SerializerMethodField(
        help_text="Where its recipients are from; null: it has none yet."
    )
    upload_id = serializers.SerializerMethodField(help_text="The upload they are from, or null.")
    columns = serializers.ListField(
        source="audience.columns", child=serializers.CharField(), help_text="What may stand in placeholders."
    )
    messages_by_status = StatusCounts(help_text="Messages by what has become of them so far.")
    waiting = serializers.IntegerField(read_only=True, help_text="Recipients not yet expanded into messages.")
    successful_count = serializers.IntegerField(read_only=True, help_text="Delivered.")
    failed_count = serializers.IntegerField(read_only=True, help_text="Ended without delivery.")
    schedule_time = serializers.DateTimeField(
        source="scheduled_at", read_only=True, allow_null=True, help_text="When it starts; null: at once."
    )
    callback_url = serializers.CharField(
        read_only=True, allow_null=True, help_text="Where results go, beside your endpoints; or null."
    )
    pause_reason = serializers.ChoiceField(
        PauseReason.choices, read_only=True, allow_null=True, help_text="Why it is paused; null: it is not."
    )
    resend_of_bulk_id = serializers.CharField(
        source="resend_of.bulk_id",
        default=None,
        allow_null=True,
        help_text="The campaign whose failed messages it sends again.",
    )
    approval_requested_by = serializers.CharField(
        source="approval_requested_by.username",
        default=None,
        allow_null=True,
        help_text="Who launched it; another has to approve.",
    )
    approved_by = serializers.CharField(
        source="approved_by.username", default=None, allow_null=True, help_text="The second person."
    )

    recurring_id = serializers.CharField(
        source="recurring.recurring_id", default=None, allow_null=True, help_text="The recurring campaign it is one of."
    )
    canary_status = StatusField(
        statuses.CANARY,
        source="canary_state",
        allow_null=True,
        help_text="How far the canary is; null: not begun, or nobody has to wait.",
    )
    canary_wait_seconds = serializers.IntegerField(
        source="canary_wait", read_only=True, help_text="How long reports on the first are waited for."
    )
    canary_floor_percent = serializers.IntegerField(
        source="canary_floor", read_only=True, help_text="Of a hundred of the first, so many must be delivered."
    )
    quiet_from = serializers.TimeField(
        format="%H:%M",
        read_only=True,
        allow_null=True,
        help_text="Nothing from then, on the recipient's clock; null: as the account or the country has it.",
    )
    quiet_until = serializers.TimeField(format="%H:%M", read_only=True, allow_null=True, help_text="Until then.")

    class Meta:
        model = Campaign
        fields = (
            "bulk_id",
            "client_reference",
            "kind",
            "mode",
            "name",
            "message",
            "sender_id",
            "callback_url",
            "status",
            "pause_reason",
            "status_detail",
            "recipients_from",
            "upload_id",
            "columns",
            "total_recipients",
            "successful_count",
            "failed_count",
            "waiting",
            "messages_by_status",
            "schedule_time",
            "valid_until",
            "created_at",
            "started_at",
            "completed_at",
            "closed_at",
            "resend_of_bulk_id",
            "approval_requested_by",
            "approved_by",
            "approved_at",
            "approval_hash",
            "quiet_from",
            "quiet_until",
            "canary_size",
            "canary_percent",
            "canary_wait_seconds",
            "canary_floor_percent",
            "canary_status",
            "canary_due_at",
            "recurring_id",
            "due_at",
        )
        read_only_fields = fields
        extra_kwargs = {
            "bulk_id": {"help_text": "Its id, e.g. `bulk-3f1c…`."},
            "client_reference": {"help_text": "Your own name for it, or null."},
            "kind": {"help_text": "`single`: of `/sms/send`."},
            "mode": {"help_text": "`test`: sent to the simulator."},
            "message": {"help_text": "The text, with its `{placeholders}`."},
            "sender_id": {"help_text": "What handsets show; null: the provider chooses."},
            "status_detail": {"help_text": "More of its status, in words; or null."},
            "created_at": {"help_text": "When it was made."},
            "started_at": {"help_text": "When sending began; null: not yet."},
            "completed_at": {"help_text": "When nothing was left to hand over; null: not yet."},
            "canary_size": {"help_text": "Recipients that go first; null: all go at once."},
            "canary_percent": {"help_text": "The same, as it was asked for, of a hundred."},
            "canary_due_at": {"help_text": "Until when reports on the first are awaited; null: not yet."},
            "due_at": {"help_text": "The moment of its recurring campaign that it is for, or null."},
            "approved_at": {"help_text": "When the second person approved; null: nobody did or had to."},
            "total_recipients": {"help_text": "Numbers it goes to, before opt-outs."},
            "closed_at": {"help_text": "When the last delivery report, or its deadline, was in."},
            "approval_hash": {
                "help_text": "Of everything that says what is sent, when and to whom, as approval was asked for."
            },
        }

    @extend_schema_field({"type": ["string", "null"], "enum": [*RECIPIENT_SOURCES, None]})
    def get_recipients_from(self, campaign: Campaign) -> str | None:
        source: str = campaign.audience.source
        return None if source == AudienceSource.EMPTY else source

    def get_upload_id(self, campaign: Campaign) -> str | None:
        is_upload = campaign.audience.source == AudienceSource.UPLOAD
        upload = getattr(campaign.audience, "upload", None) if is_upload else None
        return upload.upload_id if upload else None


class BulkAnswer(CampaignSerializer):
    refused_count = serializers.IntegerField(help_text="Numbers of the request that are no recipients.")
    refused = RefusedRow(many=True, help_text="The first 100 numbers of the request that are no recipients, and why.")

    class Meta(CampaignSerializer.Meta):
        fields = (*CampaignSerializer.Meta.fields, "refused_count", "refused")  # type: ignore[assignment]


class StoppedAnswer(CampaignSerializer):
    on_their_way = serializers.IntegerField(help_text="Messages in a call at that moment: they could not be stopped.")

    class Meta(CampaignSerializer.Meta):
        fields = (*CampaignSerializer.Meta.fields, "on_their_way")  # type: ignore[assignment]
