"""Sending to a few numbers at once."""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction

from accounts.models import Account, User
from campaigns.models import Campaign
from campaigns.rules import CampaignRequest, check_request
from campaigns.services import accept_campaign
from messaging import restored
from messaging.expansion import expand_new
from messaging.models import Message
from messaging.resending import resend_failed
from smsapp.exceptions import InvalidPhoneNumber, RecipientOptedOut
from uploads.choices import RowReason
from uploads.services import audience_from_numbers, screen_numbers
from uploads.suppressions import suppressed_among

__all__ = ["Sent", "resend_failed", "send"]

MAX_NUMBERS = 100


class Sent(NamedTuple):
    """`messages` in the order of the request."""

    campaign: Campaign
    messages: list[Message]


def send(account: Account, user: User, request: CampaignRequest, numbers: Sequence[str]) -> Sent:
    """Accept one text for 1 to 100 numbers, all of them or none; its messages exist when this returns.

    Raises an SmsappError naming the first field that is wrong; `details.errors` lists every wrong number.
    """
    check_request(account, request)
    good, refused = screen_numbers(numbers, account.default_country)
    opted_out = suppressed_among(account, [phone for _, phone in good])
    wrong = [_problem(place, reason, str(RowReason(reason).label), value) for place, reason, value, _ in refused]
    left_out = [
        _problem(place, RecipientOptedOut.code, "This recipient has opted out.", phone)
        for place, phone in good
        if phone in opted_out
    ]
    if errors := wrong + left_out:
        first = errors[0]
        refusal = InvalidPhoneNumber if wrong else RecipientOptedOut
        raise refusal(first["message"], first["field"], first["value"], errors=errors)
    restored.look_once()
    with transaction.atomic():
        audience = audience_from_numbers(account, good)
        campaign = accept_campaign(account, user, request, audience)
        return Sent(campaign, expand_new(campaign))


def _problem(place: int, code: str, message: str, value: str) -> dict[str, str]:
    """One entry of `details.errors`; `place` counts from 1."""
    return {"field": f"phone_numbers[{place - 1}]", "code": code, "message": message, "value": value}
