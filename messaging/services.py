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
    if refused:
        errors = [
            {
                "field": f"phone_numbers[{place - 1}]",
                "code": reason,
                "message": str(RowReason(reason).label),
                "value": value,
            }
            for place, reason, value, _ in refused
        ]
        first = errors[0]
        raise InvalidPhoneNumber(str(first["message"]), str(first["field"]), first["value"], errors=errors)
    if opted_out := suppressed_among(account, [phone for _, phone in good]):
        place, phone = next((place, phone) for place, phone in good if phone in opted_out)
        raise RecipientOptedOut("This recipient has opted out.", f"phone_numbers[{place - 1}]", phone)
    restored.look_once()
    with transaction.atomic():
        audience = audience_from_numbers(account, good)
        campaign = accept_campaign(account, user, request, audience)
        return Sent(campaign, expand_new(campaign))
