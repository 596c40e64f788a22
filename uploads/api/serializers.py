"""Shapes of uploads."""

from rest_framework import serializers

from smsapp.api import statuses
from smsapp.api.fields import NextField, StatusField
from smsapp.api.serializers import Answer, ModelAnswer, StrictSerializer
from uploads import chunks
from uploads.choices import RowReason
from uploads.models import Upload


class UploadRequest(StrictSerializer):
    is_json = False
    file = serializers.FileField(
        allow_empty_file=True,
        max_length=None,
        help_text="`.txt` (one number a line), `.csv`, or `.xlsx` (its first sheet).",
    )
    phone_column = serializers.CharField(
        required=False, default=None, help_text="Name or number (from 0); left out, it is guessed."
    )
    country = serializers.RegexField(
        r"^[A-Z]{2}$",
        required=False,
        default=None,
        help_text="ISO 3166 code for numbers in national format; left out, your account's.",
    )
    has_header = serializers.BooleanField(
        required=False, default=None, allow_null=True, help_text="Left out, it is guessed."
    )
    delimiter = serializers.CharField(
        required=False,
        default=None,
        max_length=3,
        help_text="`;` `,` `|` or `tab`; else guessed.",
    )


class UploadSerializer(ModelAnswer[Upload]):
    status = StatusField(statuses.UPLOAD, help_text="READY: it can be sent to.")
    filename = serializers.CharField(
        source="original_filename", read_only=True, help_text="As it was given, e.g. `spring.csv`."
    )
    columns = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="Names of its columns, for placeholders."
    )
    phone_column = serializers.SerializerMethodField(help_text="Name of the column with the numbers.")
    progress = serializers.SerializerMethodField(help_text="Share of the file that was read, 0 to 1.")

    class Meta:
        model = Upload
        fields = (
            "upload_id",
            "filename",
            "file_size",
            "status",
            "failure_reason",
            "progress",
            "encoding",
            "delimiter",
            "has_header",
            "columns",
            "phone_column",
            "country",
            "row_count",
            "phone_count",
            "invalid_count",
            "duplicate_count",
            "uploaded_at",
            "processed_at",
        )
        read_only_fields = fields
        extra_kwargs = {
            "upload_id": {"help_text": "Its id, e.g. `upl-k3v7q2m5x4wz6abc`."},
            "file_size": {"help_text": "Bytes."},
            "failure_reason": {"help_text": "Why it could not be read; null if it could."},
            "encoding": {"help_text": "How the text was read, e.g. `utf-8`; null until then."},
            "delimiter": {"help_text": "What separates its columns; null if there is one column."},
            "has_header": {"help_text": "Whether its first row names the columns."},
            "country": {"help_text": "ISO 3166 code for its numbers in national format."},
            "row_count": {"help_text": "Rows that were read."},
            "phone_count": {"help_text": "Recipients: valid numbers, each once."},
            "invalid_count": {"help_text": "Rows that are no recipients; see `/uploads/{upload_id}/errors`."},
            "duplicate_count": {"help_text": "Rows that repeat a number."},
            "uploaded_at": {"help_text": "When the file came."},
            "processed_at": {"help_text": "When it was read; null: not yet."},
        }

    def get_phone_column(self, upload: Upload) -> str | None:
        return upload.columns[upload.phone_column] if upload.phone_column < len(upload.columns) else None

    def get_progress(self, upload: Upload) -> float:
        if upload.processed_at is not None:
            return 1.0
        return round(upload.bytes_read / upload.file_size, 3) if upload.file_size else 0.0


class RefusedRow(Answer):
    row = serializers.IntegerField(help_text="As a spreadsheet shows it, header included; in a request the place.")
    reason = serializers.ChoiceField(RowReason.choices, help_text="Why it is no recipient.")
    message = serializers.SerializerMethodField(help_text="The reason in words.")
    value = serializers.CharField(allow_null=True, help_text="What stood there, shortened; null: nothing.")
    detail = serializers.CharField(allow_null=True, help_text="What the reason names, e.g. a length; or null.")

    def get_message(self, row: chunks.RefusedRow) -> str:
        return str(RowReason(row.reason).label)


class RefusedRowPage(Answer):
    results = RefusedRow(many=True, help_text="In the order of the file.")
    next = NextField()


class Number(Answer):
    row = serializers.IntegerField(help_text="As a spreadsheet shows it, header included.")
    phone_number = serializers.CharField(help_text="E.164, with plus.")


class NumberPage(Answer):
    results = Number(many=True, help_text="In the order of the file.")
    next = NextField()
