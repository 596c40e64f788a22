"""What becomes of a number: always the same for one seed, or forced by its last six digits.

A number ending in one of these has that outcome whatever the seed:

    999901 delivered        999905 spam            999909 no_credit (account)
    999902 unknown_number   999906 stopped         999910 silent (never a report)
    999903 phone_off        999907 bad_number      999911 operator_only (never a final report)
    999904 memory_full      999908 blocklisted     999912 late_refusal (accepted, then REJECTED by report)
    999913 odd_status (accepted with a status group nobody documented, then delivered)
    999914 no_receipt (the report says that nobody knows)
    999915 late_no_credit (accepted, then REJECTED by report for the account's sake)
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import Any
from zlib import crc32

from messaging.simulator.options import Options

Json = dict[str, Any]


def _status(group: int, group_name: str, status_id: int, name: str, description: str) -> Json:
    return {"groupId": group, "groupName": group_name, "id": status_id, "name": name, "description": description}


def _error(group: int, group_name: str, error_id: int, name: str, permanent: bool = False) -> Json:
    return _status(group, group_name, error_id, name, name.replace("_", " ").capitalize()) | {"permanent": permanent}


NO_ERROR = _error(0, "OK", 0, "NO_ERROR")
PENDING_ACCEPTED = _status(1, "PENDING", 26, "PENDING_ACCEPTED", "Message sent to next instance")
PENDING_ENROUTE = _status(1, "PENDING", 7, "PENDING_ENROUTE", "Message forwarded to the operator")
TO_OPERATOR = _status(3, "DELIVERED", 2, "DELIVERED_TO_OPERATOR", "Message delivered to operator")
TO_HANDSET = _status(3, "DELIVERED", 5, "DELIVERED_TO_HANDSET", "Message delivered to handset")
NOT_DELIVERED = _status(2, "UNDELIVERABLE", 9, "UNDELIVERABLE_NOT_DELIVERED", "Message sent not delivered")
BY_OPERATOR = _status(2, "UNDELIVERABLE", 4, "UNDELIVERABLE_REJECTED_OPERATOR", "Message rejected by operator")
EXPIRED = _status(4, "EXPIRED", 15, "EXPIRED_EXPIRED", "Message expired")
DLR_UNKNOWN = _status(4, "EXPIRED", 29, "EXPIRED_DLR_UNKNOWN", "Delivery report unknown")
NO_CREDIT = _status(5, "REJECTED", 12, "REJECTED_NOT_ENOUGH_CREDITS", "Not enough credits")
BLOCKLISTED = _status(5, "REJECTED", 14, "REJECTED_DESTINATION_BLOCKLISTED", "Destination on blocklist")
REPEATED = _status(5, "REJECTED", 23, "REJECTED_DUPLICATE_MESSAGE_ID", "Message id already used")
TOO_LONG = _status(5, "REJECTED", 25, "REJECTED_MESSAGE_TOO_LONG", "Message too long")
BAD_NUMBER = _status(5, "REJECTED", 52, "REJECTED_DESTINATION", "Invalid destination address")
ODD = _status(9, "FUTURE", 940, "FUTURE_STATUS", "A status of a later version")


class Kind(StrEnum):
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    SILENT = "silent"  # accepted, and no final report ever comes
    REJECTED = "rejected"  # in the answer: never accepted


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """`status` and `error` are the last word; `answer` is the status in the answer to the send.

    There is one object of each, equal to itself only.
    """

    name: str
    kind: Kind
    status: Json
    error: Json = field(default_factory=lambda: NO_ERROR)
    answer: Json = field(default_factory=lambda: PENDING_ACCEPTED)
    accepted: bool = True
    is_told: bool = True  # by a delivery report


def _rejected(name: str, status: Json, error: Json = NO_ERROR) -> Outcome:
    return Outcome(name, Kind.REJECTED, status, error, answer=status, accepted=False, is_told=False)


DELIVERED = Outcome("delivered", Kind.DELIVERED, TO_HANDSET)
SILENT = Outcome("silent", Kind.SILENT, PENDING_ENROUTE, is_told=False)
REFUSED_ACCOUNT = _rejected("no_credit", NO_CREDIT)
REFUSED_NUMBER = _rejected("bad_number", BAD_NUMBER, _error(2, "USER_ERRORS", 351, "EC_INVALID_DESTINATION_ADDRESS"))
REFUSED_BLOCKLISTED = _rejected(
    "blocklisted", BLOCKLISTED, _error(2, "USER_ERRORS", 2052, "EC_BLACKLISTED_DESTINATIONADDRESS", permanent=True)
)
REFUSED_TOO_LONG = _rejected("too_long", TOO_LONG)
REFUSED_REPEATED = _rejected("repeated", REPEATED)

#: Natural pairs of status and error, the first ones more frequent.
UNDELIVERED = (
    Outcome("phone_off", Kind.UNDELIVERED, EXPIRED, _error(1, "HANDSET_ERRORS", 27, "EC_ABSENT_SUBSCRIBER")),
    Outcome(
        "unknown_number",
        Kind.UNDELIVERED,
        NOT_DELIVERED,
        _error(1, "HANDSET_ERRORS", 1, "EC_UNKNOWN_SUBSCRIBER", permanent=True),
    ),
    Outcome(
        "memory_full",
        Kind.UNDELIVERED,
        NOT_DELIVERED,
        _error(1, "HANDSET_ERRORS", 256, "EC_SM_DF_MEMORYCAPACITYEXCEEDED"),
    ),
    Outcome(
        "spam",
        Kind.UNDELIVERED,
        BY_OPERATOR,
        _error(2, "USER_ERRORS", 607, "EC_REJECTED_SPAM_BY_OPERATOR", permanent=True),
    ),
    Outcome(
        "stopped", Kind.UNDELIVERED, BY_OPERATOR, _error(2, "USER_ERRORS", 603, "EC_CONTENT_BLOCKED", permanent=True)
    ),
)

OUTCOMES: dict[str, Outcome] = {
    outcome.name: outcome
    for outcome in (
        DELIVERED,
        SILENT,
        *UNDELIVERED,
        REFUSED_ACCOUNT,
        REFUSED_NUMBER,
        REFUSED_BLOCKLISTED,
        REFUSED_TOO_LONG,
        Outcome("operator_only", Kind.SILENT, TO_OPERATOR),
        Outcome(
            "late_refusal",
            Kind.UNDELIVERED,
            BLOCKLISTED,
            _error(2, "USER_ERRORS", 2052, "EC_BLACKLISTED_DESTINATIONADDRESS", permanent=True),
        ),
        Outcome("odd_status", Kind.DELIVERED, TO_HANDSET, answer=ODD),
        Outcome("no_receipt", Kind.SILENT, DLR_UNKNOWN),
        Outcome("late_no_credit", Kind.UNDELIVERED, NO_CREDIT),
    )
}

SUFFIX_LENGTH = 6
SUFFIXES: dict[str, Outcome] = {
    "999901": OUTCOMES["delivered"],
    "999902": OUTCOMES["unknown_number"],
    "999903": OUTCOMES["phone_off"],
    "999904": OUTCOMES["memory_full"],
    "999905": OUTCOMES["spam"],
    "999906": OUTCOMES["stopped"],
    "999907": OUTCOMES["bad_number"],
    "999908": OUTCOMES["blocklisted"],
    "999909": OUTCOMES["no_credit"],
    "999910": OUTCOMES["silent"],
    "999911": OUTCOMES["operator_only"],
    "999912": OUTCOMES["late_refusal"],
    "999913": OUTCOMES["odd_status"],
    "999914": OUTCOMES["no_receipt"],
    "999915": OUTCOMES["late_no_credit"],
}

#: Shares of those that are not delivered, in 35ths.
_UNDELIVERED_WEIGHTS = (11, 9, 7, 5, 3)
_RANGE = 1 << 32
_SPREAD = 0x9E3779B1  # odd: numbers that follow each other, whose checksums resemble each other, land far apart


class Outcomes:
    """What becomes of each number, for one seed and its shares."""

    def __init__(self, options: Options) -> None:
        shares = [
            (options.rejected / 2, REFUSED_BLOCKLISTED),
            (options.rejected / 2, REFUSED_NUMBER),
            *((options.undelivered * w / 35, o) for w, o in zip(_UNDELIVERED_WEIGHTS, UNDELIVERED, strict=True)),
            (options.silent, SILENT),
        ]
        self._ends = [round(end * _RANGE) for end in accumulate(share for share, _ in shares)]
        self._outcomes = (*(outcome for _, outcome in shares), DELIVERED)
        self._seed = crc32(f"{options.seed}:".encode())

    def of(self, number: str) -> Outcome:
        """`number` in digits without plus; what is no number at all is refused as such."""
        if not (number.isascii() and number.isdecimal() and 7 <= len(number) <= 15):
            return REFUSED_NUMBER
        forced = SUFFIXES.get(number[-SUFFIX_LENGTH:])
        if forced is not None:
            return forced
        index = crc32(number.encode(), self._seed) * _SPREAD % _RANGE
        return self._outcomes[bisect_right(self._ends, index)]


def contrary(outcome: Outcome) -> Outcome:
    """What a conflicting report claims."""
    return UNDELIVERED[0] if outcome.kind is Kind.DELIVERED else DELIVERED
