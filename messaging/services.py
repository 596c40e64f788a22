"""Sending to a few numbers at once."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from django.db import transaction

from accounts.choices import Mode
from accounts.models import Account, User
from accounts.suspension import require_active
from campaigns.models import Campaign
from campaigns.services import admit_campaign
from campaigns.validation import CampaignRequest, check_request
from messaging.models import Message
from messaging.restore import detection
from messaging.sending import restrictions
from messaging.sending.expansion import store_expanded
from messaging.sending.resending import resend_failed
from smsapp.core.error_codes import problem_code
from smsapp.core.exceptions import (
    AccountSuspended,
    DestinationBlocked,
    InvalidPhoneNumber,
    Problems,
    RecipientLimitReached,
    RecipientOptedOut,
    ValidationError,
)
from uploads.audiences import audience_from_numbers, screen_numbers
from uploads.choices import RowReason
from uploads.chunks import Recipients
from uploads.suppressions import suppressed_among

__all__ = ["Sent", "resend_failed", "send"]

MAX_NUMBERS = 100

Numbered = tuple[int, str]
#: Which of an account's valid numbers are refused all the same, and in which words.
_REFUSALS: tuple[tuple[Callable[[Account, Sequence[str]], Collection[str]], type[ValidationError], str], ...] = (
    (suppressed_among, RecipientOptedOut, "This recipient has opted out."),
    (restrictions.blocked_among, DestinationBlocked, "Your account may not send to this country."),
    (restrictions.too_often_among, RecipientLimitReached, "This number got enough messages for now."),
)


class Sent(NamedTuple):
    """`messages` in the order of the request."""

    campaign: Campaign
    messages: list[Message]


def send(account: Account, user: User, request: CampaignRequest, numbers: Sequence[str]) -> Sent:
    """Accept one text for 1 to 100 numbers, all of them or none; its messages exist when this returns.

    Raises an SmsappError for the first field that is wrong; `details.errors` lists every wrong field and number.
    """
    good = check_send(account, request, numbers)
    if request.mode == Mode.LIVE and not restrictions.watch_singles(account, [phone for _, phone in good]):
        raise AccountSuspended(restrictions.CONSECUTIVE)
    detection.look_once()
    with transaction.atomic():
        audience = audience_from_numbers(account, good)
        campaign = admit_campaign(account, user, request, audience)
        positions, phones = zip(*good, strict=True)
        return Sent(campaign, store_expanded(campaign, Recipients(list(positions), list(phones), [[] for _ in good])))


def check_send(account: Account, request: CampaignRequest, numbers: Sequence[str]) -> list[Numbered]:
    """Return the numbers in E.164, each with its position from 1. Raises an SmsappError that names every problem."""
    require_active(account)
    problems = Problems()
    good = problems.check(_check_numbers, account, numbers)
    problems.check(check_request, account, request)
    problems.refuse()
    return good or []


def _check_numbers(account: Account, numbers: Sequence[str]) -> list[Numbered]:
    """Return the numbers that can be sent to.

    Raises InvalidPhoneNumber, RecipientOptedOut, DestinationBlocked or RecipientLimitReached, which name every number
    that is refused for any of these reasons.
    """
    problems = Problems()
    good, refused = screen_numbers(numbers, account.default_country)
    phones = [phone for _, phone in good]
    wrong = [
        _problem(position, problem_code(reason), str(RowReason(reason).label), value)
        for position, reason, value, _ in refused
    ]
    problems.check(_require_none, InvalidPhoneNumber, wrong)
    for find, refusal, words in _REFUSALS:
        found = find(account, phones)
        named = [_problem(position, refusal.code, words, phone) for position, phone in good if phone in found]
        problems.check(_require_none, refusal, named)
    problems.refuse()
    return good


def _require_none(refusal: type[ValidationError], wrong: list[dict[str, str]]) -> None:
    if wrong:
        first = wrong[0]
        raise refusal(first["message"], first["field"], first["value"], problem=first["code"], errors=wrong)


def _problem(position: int, code: str, message: str, value: str) -> dict[str, str]:
    """Return one entry of `details.errors`; `position` counts from 1."""
    return {"field": f"phone_numbers[{position - 1}]", "code": code, "message": message, "value": value}
