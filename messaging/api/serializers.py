"""Shapes of `/sms/send`."""

from rest_framework import serializers

from campaigns.api.serializers import SendOptions
from messaging.services import MAX_NUMBERS
from smsapp.api import statuses
from smsapp.api.fields import StatusField
from smsapp.api.serializers import Answer
from smsapp.core.exceptions import TooManyRecipients


class SendRequest(SendOptions):
    phone_numbers = serializers.ListField(
        child=serializers.CharField(max_length=40),
        allow_empty=False,
        help_text=f"1 to {MAX_NUMBERS} numbers, in international format or that of your account's country.",
    )

    def validate_phone_numbers(self, numbers: list[str]) -> list[str]:
        if len(numbers) > MAX_NUMBERS:
            raise TooManyRecipients(
                f"{len(numbers)} numbers were given; {MAX_NUMBERS} are allowed here. Use /sms/bulk for more.",
                "phone_numbers",
                len(numbers),
                max=MAX_NUMBERS,
            )
        return numbers


class SentMessage(Answer):
    message_id = serializers.CharField(help_text="Ask `/messages/{message_id}` what became of it.")
    to = serializers.CharField(source="phone_number", help_text="E.164, with plus.")
    status = StatusField(statuses.MESSAGE, help_text="PENDING; or FAILED or SUPPRESSED, and then nothing is sent.")
    is_final = serializers.BooleanField(help_text="Whether nothing more is awaited.")
    segments = serializers.IntegerField(source="segment_count", help_text="Billed units.")


class SendAnswer(Answer):
    bulk_id = serializers.CharField(help_text="Of the send as a whole, e.g. `bulk-3f1c…`.")
    client_reference = serializers.CharField(allow_null=True, help_text="Your own name for it, or null.")
    total_sent = serializers.IntegerField(help_text="Numbers in the request.")
    successful = serializers.IntegerField(help_text="Accepted: they will be handed over at most once, and not lost.")
    failed = serializers.IntegerField(help_text="Numbers that get no message; the status of each says why.")
    messages = SentMessage(many=True, help_text="One for each number, in the order of the request.")
