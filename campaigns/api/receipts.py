"""Shapes of what is known before sending: the texts of recipients, and the receipt."""

from rest_framework import serializers

from smsapp.api.serializers import Answer
from smsapp.lib.text import GSM7, UCS2


class PreviewRow(Answer):
    row = serializers.IntegerField(help_text="Number of the row in the file, or place in the request, from 1.")
    phone_number = serializers.CharField(help_text="E.164, with plus.")
    text = serializers.CharField(allow_null=True, help_text="As the recipient would read it; null if there is none.")
    problem = serializers.ChoiceField(
        ["missing_value", "text_too_long", "empty_text"], allow_null=True, help_text="Why there is no text, or null."
    )
    detail = serializers.CharField(
        allow_null=True, help_text="The placeholder without a value, or the length in characters; or null."
    )
    length = serializers.IntegerField(help_text="Characters.")
    encoding = serializers.ChoiceField(
        [GSM7, UCS2], allow_null=True, help_text="`ucs2`: 70 characters a segment instead of 160; null without a text."
    )
    segments = serializers.IntegerField(help_text="Billed units.")
    units_left = serializers.IntegerField(help_text="Room in the last segment: septets (gsm7) or 16-bit units (ucs2).")


class PreviewAnswer(Answer):
    placeholders = serializers.ListField(
        child=serializers.CharField(), help_text="Columns that the text needs: placeholders without a default."
    )
    rows = PreviewRow(many=True, help_text="In the order of the recipients; empty while there are none.")


class CountryCount(Answer):
    country = serializers.CharField(
        allow_null=True, help_text="ISO 3166 code, e.g. `DE`; null for numbers of no country."
    )
    recipients = serializers.IntegerField(help_text="Messages to this country.")
    segments = serializers.IntegerField(help_text="Billed units.")
    price = serializers.DecimalField(max_digits=20, decimal_places=6, help_text="In `currency`.")


class RemovedCount(Answer):
    invalid = serializers.IntegerField(help_text="Rows or numbers that are no mobile number.")
    duplicate = serializers.IntegerField(help_text="Repetitions of a number.")
    opted_out = serializers.IntegerField(help_text="Recipients who have opted out.")
    no_text = serializers.IntegerField(help_text="Recipients whose text cannot be made, e.g. for want of a value.")


class EncodingCount(Answer):
    gsm7 = serializers.IntegerField(help_text="Messages at 160 characters a segment.")
    ucs2 = serializers.IntegerField(help_text="Messages at 70 characters a segment.")


class LongestText(Answer):
    length = serializers.IntegerField(help_text="Characters; 0 while there is none.")
    segments = serializers.IntegerField(help_text="Billed units.")
    row = serializers.IntegerField(help_text="The row it is of: see `preview`.")


class ReceiptWarning(Answer):
    reason = serializers.ChoiceField(
        ["nobody", "not_covered", "no_price", "no_route", "too_late", "already_sent"],
        source="code",
        help_text="What to look at.",
    )
    message = serializers.CharField(help_text="In words.")
    bulk_id = serializers.CharField(allow_null=True, help_text="The campaign that was `already_sent`, or null.")


class ReceiptAnswer(Answer):
    progress = serializers.FloatField(help_text="Share of the recipients that is counted, 0 to 1. At 1 it is complete.")
    counted_at = serializers.DateTimeField(allow_null=True, help_text="When it was complete; null until then.")
    recipients = serializers.IntegerField(help_text="Messages that would be sent.")
    segments = serializers.IntegerField(help_text="Billed units of all of them.")
    price = serializers.DecimalField(
        max_digits=20, decimal_places=6, help_text="Of all of them, in `currency`, by the price list; 0 in test mode."
    )
    currency = serializers.CharField(allow_null=True, help_text="ISO 4217, e.g. `EUR`; null without prices.")
    countries = CountryCount(many=True, help_text="The largest first.")
    removed = RemovedCount(help_text="Who gets no message.")
    removed_count = serializers.IntegerField(help_text="All of `removed` together.")
    encodings = EncodingCount(help_text="Messages by encoding.")
    longest = LongestText(help_text="The longest of all texts.")
    duration_seconds = serializers.IntegerField(
        source="seconds",
        allow_null=True,
        help_text="To submit all of it, quiet hours aside: at the lowest rate that is set, or at the pace of your last "
        "large campaigns; null if neither is known.",
    )
    quiet_count = serializers.IntegerField(
        source="quiet", help_text="Recipients whose quiet hours hold them back when it starts."
    )
    quiet_ends_at = serializers.DateTimeField(
        source="quiet_until", allow_null=True, help_text="When the last of them may be texted; null if there are none."
    )
    balance_after = serializers.DecimalField(
        max_digits=20,
        decimal_places=6,
        allow_null=True,
        help_text="Credit that would be left; null in test mode and for an account that does not prepay.",
    )
    needs_approval = serializers.BooleanField(help_text="A second person has to approve before it starts.")
    warnings = ReceiptWarning(many=True, help_text="Worth a look before launching; told when it is complete.")
