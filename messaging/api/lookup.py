"""`POST /lookup`: what would become of numbers and of a text, without sending anything."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access.principal import caller_of
from accounts.choices import Scope
from accounts.models import Account
from campaigns.validation import check_text
from smsapp.api.openapi.rules import at_least_one
from smsapp.api.openapi.schema import may_fail
from smsapp.api.serializers import Answer, StrictSerializer, checked
from smsapp.api.views import AccountMixin
from smsapp.core.exceptions import MessageTooLong, Problems, ValidationError
from smsapp.lib.phone import RefusedNumber, country_of, is_country, parse_number
from smsapp.lib.text import analyse, invisible_characters, normalise
from uploads.choices import RowReason
from uploads.suppressions import suppressed_among

MAX_NUMBERS = 1000


class LookupRequest(StrictSerializer):
    rules = at_least_one("phone_numbers", "message")

    phone_numbers = serializers.ListField(
        child=serializers.CharField(max_length=40),
        required=False,
        allow_empty=False,
        max_length=MAX_NUMBERS,
        help_text=f"1 to {MAX_NUMBERS:,} numbers, in any format.",
    )
    country = serializers.CharField(
        required=False, default="", max_length=2, help_text="ISO 3166 code of numbers in national format, e.g. `DE`."
    )
    message = serializers.CharField(
        required=False, trim_whitespace=False, help_text="A text as `/sms/send` would send it: as it is written."
    )

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if "phone_numbers" not in data and "message" not in data:
            raise serializers.ValidationError({"phone_numbers": "Give phone_numbers, a message, or both."}, "required")
        return data


class LookedUpNumber(Answer):
    input = serializers.CharField(help_text="As it was given.")
    valid = serializers.BooleanField(help_text="An SMS can be sent to it.")
    phone_number = serializers.CharField(allow_null=True, help_text="E.164, with plus; null if it is not valid.")
    country = serializers.CharField(allow_null=True, help_text="ISO 3166 code, e.g. `DE`.")
    opted_out = serializers.BooleanField(help_text="Suppressed in your account: nothing is sent to it.")
    reason = serializers.ChoiceField(
        RowReason.choices, allow_null=True, help_text="Why it is not valid; null if it is."
    )
    message = serializers.CharField(allow_null=True, help_text="The reason in words, or null.")


class LookedUpText(Answer):
    length = serializers.IntegerField(help_text="Characters.")
    encoding = serializers.ChoiceField(["gsm7", "ucs2"], help_text="ucs2: 70 characters a segment instead of 160.")
    segments = serializers.IntegerField(help_text="Billed units.")
    units = serializers.IntegerField(help_text="Septets (gsm7) or 16-bit units (ucs2) in all.")
    units_left = serializers.IntegerField(help_text="Room in the last segment.")
    unicode_characters = serializers.ListField(
        child=serializers.CharField(), help_text="The very characters that force ucs2."
    )
    invisible_characters = serializers.ListField(
        child=serializers.CharField(), help_text="Characters nobody sees, as `U+200B`."
    )


class LookupAnswer(Answer):
    numbers = LookedUpNumber(many=True, help_text="In the order of the request.")
    text = LookedUpText(allow_null=True, help_text="Of `message`; null if there was none.")


EXAMPLE = OpenApiExample(
    "Two numbers and a text",
    {"phone_numbers": ["0151 12345678", "+1 415 555 2671"], "country": "DE", "message": "Your parcel is here…"},
    request_only=True,
)


class LookupView(AccountMixin, APIView):
    write_scope = Scope.MESSAGES_READ
    only_reading = ("post",)

    @extend_schema(
        operation_id="lookup",
        summary="Check numbers and count segments without sending",
        tags=["messages"],
        request=LookupRequest,
        responses=LookupAnswer,
        examples=[EXAMPLE],
        extensions=may_fail(MessageTooLong),
    )
    def post(self, request: Request) -> Response:
        """Nothing is stored, sent or charged, and no network is asked: numbers are read by their numbering plans."""
        data, account = checked(LookupRequest, request, _check), caller_of(request).account
        _check(data)
        country = data["country"].upper() or account.default_country
        text = _text(normalise(data["message"])) if "message" in data else None
        return Response({"numbers": _numbers(data.get("phone_numbers", ()), country, account), "text": text})


def _check(given: Mapping[str, Any]) -> None:
    """Raises ValidationError, which names all that is wrong with the fields that are there."""
    problems = Problems()
    if country := given.get("country"):
        problems.check(_require_country, country)
    if "message" in given:
        problems.check(check_text, normalise(given["message"]))
    problems.refuse()


def _require_country(country: str) -> None:
    if not is_country(country.upper()):
        raise ValidationError(_("There is no such country code."), "country", country)


def _numbers(given: list[str], country: str, account: Account) -> list[dict[str, object]]:
    numbers = [_number(text, country) for text in given]
    phones = [str(number["phone_number"]) for number in numbers if number["valid"]]
    opted_out = suppressed_among(account, phones) if phones else set()
    return [number | {"opted_out": number["phone_number"] in opted_out} for number in numbers]


def _number(text: str, country: str) -> dict[str, object]:
    try:
        phone = parse_number(text, country)
    except RefusedNumber as refusal:
        words = f"{RowReason(refusal.reason).label}{': ' + refusal.detail if refusal.detail else ''}"
        return {
            "input": text,
            "valid": False,
            "phone_number": None,
            "country": None,
            "reason": refusal.reason,
            "message": words,
        }
    return {
        "input": text,
        "valid": True,
        "phone_number": phone,
        "country": country_of(phone) or None,
        "reason": None,
        "message": None,
    }


def _text(message: str) -> dict[str, object]:
    facts = analyse(message)
    return {
        "length": len(message),
        "encoding": facts.encoding,
        "segments": facts.segment_count,
        "units": facts.unit_count,
        "units_left": facts.units_left,
        "unicode_characters": list(facts.ucs2_characters),
        "invisible_characters": [f"U+{ord(character):04X}" for character in invisible_characters(message)],
    }
