"""Shapes of campaigns and templates, and the options that every sending call takes."""

from itertools import combinations
from typing import Any

from rest_framework import serializers

from campaigns.choices import CanaryState, PauseReason
from campaigns.models import Campaign, MessageTemplate
from campaigns.rendering import Template
from campaigns.rules import MAX_CANARY_WAIT
from campaigns.tally import COUNTED_STATUSES
from messaging.resending import ON_REQUEST
from smsapp.api.fields import ClientReferenceField, WallTimeField, ZonedDateTimeField
from smsapp.api.serializers import StrictSerializer
from smsapp.exceptions import TooManyRecipients
from smsapp.lib.text import GSM7, UCS2, analyse
from uploads.api.serializers import RefusedRow
from uploads.choices import AudienceSource

MAX_NUMBERS = 10_000

#: What the counters of a campaign count, where their names do not say it.
COUNTS = {
    "queued": "waiting to be handed over",
    "sent": "with the provider, without a final report yet",
    "rejected": "refused by the provider",
    "failed": "given up before they were handed over",
    "expired": "never handed over, since `valid_until` had passed",
    "suppressed": "to recipients who have opted out",
    "unknown": "being looked up at the provider",
    "unconfirmed": "closed without proof of what became of them",
}


class SendOptions(StrictSerializer):
    """What a single send and a bulk campaign have in common."""

    message = serializers.CharField(
        trim_whitespace=False,
        max_length=None,
        help_text="1 to 1,600 characters, sent as written, split where it is longer than one SMS.",
    )
    sender_id = serializers.CharField(
        required=False, default="", allow_blank=True,
        help_text="Approved sender of your account, e.g. `YourBrand`; left out, the provider chooses.",
    )  # fmt: skip
    name = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=120, help_text="For your own eyes."
    )
    schedule_time = ZonedDateTimeField(
        required=False, default=None, allow_null=True,
        help_text="ISO 8601 with zone, e.g. `2027-06-17T18:00:00Z`; left out, it is sent at once.",
    )  # fmt: skip
    valid_until = ZonedDateTimeField(
        required=False, default=None, allow_null=True, help_text="Nothing is handed over after this time."
    )
    callback_url = serializers.URLField(
        required=False, default="", allow_blank=True, max_length=500,
        help_text="Where results of this send go, signed with the callback secret of your account (see `webhooks`). "
        "https, port 443 or 8443, a public server; e.g. `https://your-app.com/webhook`.",
    )  # fmt: skip
    client_reference = ClientReferenceField()


TEXT = {"oneOf": [{"required": ["message"]}, {"required": ["template_id"]}]}
RECIPIENTS = [{"required": [name]} for name in ("phone_numbers", "upload_id", "list_id")]
NOT_TWO = {
    "not": {"anyOf": [{"required": [a, b]} for a, b in combinations(("phone_numbers", "upload_id", "list_id"), 2)]}
}


class CampaignOptions(SendOptions):
    """All of them may be left out, and are in a change. What must be there is said by the forms below."""

    partial_rules = {"allOf": [{"not": {"required": ["message", "template_id"]}}, NOT_TWO]}
    message = serializers.CharField(
        required=False, trim_whitespace=False, max_length=None,
        help_text="The text, with `{placeholders}` filled from the columns of the recipients. 1 to 1,600 characters.",
    )  # fmt: skip
    template_id = serializers.CharField(
        required=False, max_length=40, help_text="Instead of `message`: a template, whose text is copied."
    )
    phone_numbers = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, allow_empty=False,
        help_text=f"Up to {MAX_NUMBERS:,} numbers; or an upload, or a contact list.",
    )  # fmt: skip
    upload_id = serializers.CharField(
        required=False, max_length=40, help_text="A ready upload, whose columns fill `{placeholders}`."
    )
    list_id = serializers.CharField(
        required=False, max_length=40, help_text="A contact list: its contacts as they are at this moment."
    )

    quiet_from = WallTimeField(
        help_text="With `quiet_until`, e.g. `21:00`: in between, on the recipient's clock, nothing is handed over; it "
        "follows afterwards. Left out: as your account or the country has it."
    )  # fmt: skip
    quiet_until = WallTimeField(help_text="E.g. `08:00`.")
    canary_size = serializers.IntegerField(
        required=False, default=None, allow_null=True, min_value=1, max_value=10**6,
        help_text="So many recipients go first, e.g. 200; the others wait for what becomes of them.",
    )  # fmt: skip
    canary_percent = serializers.IntegerField(
        required=False, default=None, allow_null=True, min_value=1, max_value=50,
        help_text="Or so many of a hundred, e.g. 5.",
    )  # fmt: skip
    canary_wait = serializers.IntegerField(
        required=False, default=900, min_value=60, max_value=MAX_CANARY_WAIT,
        help_text="Seconds that delivery reports on the first are waited for, e.g. 900.",
    )  # fmt: skip
    canary_floor = serializers.IntegerField(
        required=False, default=80, min_value=1, max_value=100,
        help_text="Of a hundred of the first, so many must be delivered, e.g. 80; else the campaign is paused.",
    )  # fmt: skip

    def validate_phone_numbers(self, numbers: list[str]) -> list[str]:
        if len(numbers) > MAX_NUMBERS:
            raise TooManyRecipients(
                f"{len(numbers)} numbers were given; {MAX_NUMBERS} are allowed here. Upload a file for more.",
                "phone_numbers", len(numbers), max=MAX_NUMBERS,
            )  # fmt: skip
        return numbers

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if "message" in data and "template_id" in data:
            raise serializers.ValidationError({"template_id": ["Give either message or template_id."]})
        if sum(name in data for name in ("phone_numbers", "upload_id", "list_id")) > 1:
            raise serializers.ValidationError({"phone_numbers": ["Give one of phone_numbers, upload_id and list_id."]})
        return data


class DraftRequest(CampaignOptions):
    """The recipients of a draft may be given later."""

    rules = {"allOf": [TEXT, NOT_TWO]}

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if not self.partial and "message" not in data and "template_id" not in data:
            raise serializers.ValidationError({"message": ["Give either message or template_id."]})
        return super().validate(data)


class BulkRequest(DraftRequest):
    rules = {"allOf": [TEXT, {"oneOf": RECIPIENTS}]}

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if not {"phone_numbers", "upload_id", "list_id"} & set(data):
            raise serializers.ValidationError({"phone_numbers": ["Give one of phone_numbers, upload_id and list_id."]})
        return super().validate(data)


class Comment(serializers.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=200, help_text="Kept in the history of the campaign.", **options)


class ApproveRequest(StrictSerializer):
    approval_hash = serializers.CharField(
        required=False, default="", max_length=64,
        help_text="`approval_hash` of the campaign as you have seen it: refused if it is another by now.",
    )  # fmt: skip
    comment = Comment(required=False, default="")


class RejectRequest(StrictSerializer):
    comment = Comment()


class ResendRequest(StrictSerializer):
    also = serializers.MultipleChoiceField(
        choices=[status.label for status in ON_REQUEST], required=False, default=set,
        help_text="Sent again beside what failed. An `unconfirmed` message may have arrived: its recipient may get it "
        "twice.",
    )  # fmt: skip


class NothingMore(StrictSerializer):
    """The body of an action that takes none."""


class CampaignSerializer(serializers.ModelSerializer[Campaign]):
    recipients_from = serializers.SerializerMethodField(
        help_text="Where its recipients are from; null: it has none yet."
    )
    upload_id = serializers.SerializerMethodField(help_text="The upload they are from, or null.")
    columns = serializers.ListField(
        source="audience.columns", child=serializers.CharField(), help_text="What may stand in placeholders."
    )
    waiting = serializers.IntegerField(read_only=True, help_text="Recipients not yet expanded into messages.")
    successful_count = serializers.IntegerField(read_only=True, help_text="Delivered.")
    failed_count = serializers.IntegerField(read_only=True, help_text="Ended without delivery.")
    schedule_time = serializers.DateTimeField(
        source="scheduled_at", read_only=True, allow_null=True, help_text="When it starts; null: at once."
    )
    callback_url = serializers.CharField(
        read_only=True, help_text="Where results go, beside your endpoints; may be empty."
    )
    pause_reason = serializers.CharField(
        read_only=True,
        help_text=f"Why it is paused: {', '.join(f'`{one}`' for one in PauseReason.values)}; else empty.",
    )
    resend_of = serializers.CharField(
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
    canary_state = serializers.CharField(
        read_only=True,
        help_text=f"How far that is: {', '.join(f'`{one}`' for one in CanaryState.values)}; empty: not begun, or "
        "nobody has to wait.",
    )
    quiet_from = serializers.TimeField(
        format="%H:%M", read_only=True, allow_null=True, help_text="Nothing from then, on the recipient's clock; null: "
        "as the account or the country has it.",
    )  # fmt: skip
    quiet_until = serializers.TimeField(format="%H:%M", read_only=True, allow_null=True, help_text="Until then.")

    class Meta:
        model = Campaign
        fields = (
            "bulk_id", "client_reference", "kind", "mode", "name", "message", "sender_id", "callback_url", "status",
            "pause_reason", "status_detail", "recipients_from", "upload_id", "columns", "total_recipients",
            "successful_count", "failed_count", "waiting", *COUNTED_STATUSES, "schedule_time", "valid_until",
            "created_at", "started_at", "completed_at", "closed_at", "resend_of", "approval_requested_by",
            "approved_by", "approved_at", "approval_hash", "quiet_from", "quiet_until", "canary_size",
            "canary_percent", "canary_wait", "canary_floor", "canary_state", "canary_due_at", "recurring_id", "due_at",
        )  # fmt: skip
        read_only_fields = fields
        extra_kwargs = {name: {"help_text": f"Messages {COUNTS.get(name, name)}."} for name in COUNTED_STATUSES} | {
            "bulk_id": {"help_text": "Its id, e.g. `bulk-3f1c…`."},
            "client_reference": {"help_text": "Your own name for it, or null."},
            "kind": {"help_text": "`single`: of `/sms/send`."},
            "mode": {"help_text": "`test`: sent to the simulator."},
            "status": {"help_text": "`completed`: nothing is left to hand over."},
            "name": {"help_text": "For your own eyes; may be empty."},
            "sender_id": {"help_text": "What handsets show; empty: the provider chooses."},
            "created_at": {"help_text": "When it was made."},
            "started_at": {"help_text": "When sending began; null: not yet."},
            "completed_at": {"help_text": "When nothing was left to hand over; null: not yet."},
            "canary_size": {"help_text": "Recipients that go first; null: all go at once."},
            "canary_percent": {"help_text": "The same, as it was asked for, of a hundred."},
            "canary_wait": {"help_text": "Seconds that reports on the first are waited for."},
            "canary_floor": {"help_text": "Of a hundred of the first, so many must be delivered."},
            "canary_due_at": {"help_text": "Until when reports on the first are awaited; null: not yet."},
            "due_at": {"help_text": "The moment of its recurring campaign that it is for, or null."},
            "approved_at": {"help_text": "When the second person approved; null: nobody did or had to."},
            "total_recipients": {"help_text": "Numbers it goes to, before opt-outs."},
            "closed_at": {"help_text": "When the last delivery report, or its deadline, was in."},
            "approval_hash": {
                "help_text": "Of everything that says what is sent, when and to whom, as approval was asked for."
            },
        }

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


class TemplateRequest(StrictSerializer):
    name = serializers.CharField(max_length=120, help_text="Unique in your account, e.g. `Appointment reminder`.")
    message = serializers.CharField(
        trim_whitespace=False, max_length=None,
        help_text="1 to 1,600 characters, e.g. `Hello {first_name|there}, see you at {time}.`",
    )  # fmt: skip


class TemplateSerializer(serializers.ModelSerializer[MessageTemplate]):
    placeholders = serializers.SerializerMethodField(
        help_text="Columns that the recipients must have: placeholders without a default."
    )
    encoding = serializers.SerializerMethodField(
        help_text=f"`{GSM7}`, or `{UCS2}` (70 characters a segment instead of 160), of the text as it is written here."
    )
    segments = serializers.SerializerMethodField(
        help_text="Billed units of the text as it is written here; values that are filled in may change it."
    )

    class Meta:
        model = MessageTemplate
        fields = ("template_id", "name", "message", "placeholders", "encoding", "segments", "created_at", "updated_at")
        read_only_fields = fields
        extra_kwargs = {
            "template_id": {"help_text": "Its id, e.g. `tpl-3f1c…`."},
            "name": {"help_text": "One of its kind in your account."},
            "message": {"help_text": "The text, with its `{placeholders}`."},
            "created_at": {"help_text": "When it was made."},
            "updated_at": {"help_text": "When it was changed last."},
        }

    def get_placeholders(self, template: MessageTemplate) -> list[str]:
        return list(Template(template.message).names)

    def get_encoding(self, template: MessageTemplate) -> str:
        return analyse(template.message).encoding

    def get_segments(self, template: MessageTemplate) -> int:
        return analyse(template.message).segment_count
