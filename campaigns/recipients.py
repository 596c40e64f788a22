"""The recipients of a campaign: numbers of a request, an upload or a contact list become an Audience."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from smsapp.core.error_codes import problem_code
from smsapp.core.exceptions import InvalidPhoneNumber
from uploads.audiences import audience_from_numbers, ready_audience, screen_numbers
from uploads.choices import RowReason
from uploads.chunks import RefusedRow
from uploads.contacts import snapshot
from uploads.models import Audience

MAX_ERRORS = 100


@dataclass(frozen=True, slots=True)
class RecipientSource:
    """Where recipients come from: exactly one of the three is given."""

    phone_numbers: Sequence[str] = ()
    upload_id: str = ""
    list_id: str = ""


def gather(account: Account, wanted: RecipientSource) -> tuple[Audience, list[RefusedRow]]:
    """Return the audience, and the rejected numbers of the request.

    Raises InvalidPhoneNumber if no number is valid, and whatever `ready_audience` and `snapshot` raise.
    """
    if wanted.upload_id:
        return ready_audience(account, wanted.upload_id), []
    if wanted.list_id:
        return snapshot(account, wanted.list_id), []
    valid, rejected = require_numbers(account, wanted.phone_numbers)
    return audience_from_numbers(account, valid, refused=rejected), rejected


def require_numbers(account: Account, numbers: Sequence[str]) -> tuple[list[tuple[int, str]], list[RefusedRow]]:
    """Return the valid and the rejected numbers. Raises InvalidPhoneNumber if none is valid."""
    valid, rejected = screen_numbers(numbers, account.default_country)
    if not valid:
        errors = [
            {
                "field": f"phone_numbers[{row.row - 1}]",
                "code": problem_code(row.reason),
                "message": str(RowReason(row.reason).label),
                "value": row.value,
            }
            for row in rejected[:MAX_ERRORS]
        ]
        raise InvalidPhoneNumber(
            _("None of the numbers can receive an SMS."),
            "phone_numbers[0]",
            numbers[0],
            problem=rejected[0].reason,
            errors=errors,
        )
    return valid, rejected
