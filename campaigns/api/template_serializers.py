"""What the endpoints of `templates` take and answer."""

from rest_framework import serializers

from campaigns.models import MessageTemplate
from campaigns.texts.rendering import Template
from smsapp.api.serializers import ModelAnswer, StrictSerializer
from smsapp.lib.text import GSM7, UCS2, analyse


class TemplateRequest(StrictSerializer):
    name = serializers.CharField(max_length=120, help_text="Unique in your account, e.g. `Appointment reminder`.")
    message = serializers.CharField(
        trim_whitespace=False,
        max_length=None,
        help_text="1 to 1,600 characters, e.g. `Hello {first_name|there}, see you at {time}.`",
    )


class TemplateSerializer(ModelAnswer[MessageTemplate]):
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
            "name": {"help_text": "Unique in your account."},
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
