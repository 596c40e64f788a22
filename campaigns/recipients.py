"""To whom: the numbers of a request, a ready upload, or a contact list as it stands now, as an Audience."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    """Exactly one of them is given."""

    phone_numbers: Sequence[str] = ()
    upload_id: str = ""
    list_id: str = ""


def gather(account: Account, wanted: RecipientSource) -> tuple[Audience, list[RefusedRow]]:
    """The audience, and the numbers of the request that are no recipients.

    Raises InvalidPhoneNumber if none of the numbers is one, and what `ready_audience` and `snapshot` raise.
    """
    if wanted.upload_id:
        return ready_audience(account, wanted.upload_id), []
    if wanted.list_id:
        return snapshot(account, wanted.list_id), []
    good, refused = require_numbers(account, wanted.phone_numbers)
    return audience_from_numbers(account, good, refused=refused), refused


def require_numbers(account: Account, numbers: Sequence[str]) -> tuple[list[tuple[int, str]], list[RefusedRow]]:
    """See `screen_numbers`. Raises InvalidPhoneNumber if none of the numbers is one."""
    good, refused = screen_numbers(numbers, account.default_country)
    if not good:
        errors = [
            {
                "field": f"phone_numbers[{row.row - 1}]",
                "code": problem_code(row.reason),
                "message": str(RowReason(row.reason).label),
                "value": row.value,
            }
            for row in refused[:MAX_ERRORS]
        ]
        raise InvalidPhoneNumber(
            "None of the numbers can receive an SMS.",
            "phone_numbers[0]",
            numbers[0],
            problem=refused[0].reason,
            errors=errors,
        )
    return good, refused
