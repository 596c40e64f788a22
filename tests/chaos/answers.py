"""What clients asked for, what they were told, and whether it was so. Pure.

accepted   every number has exactly one message, under the ids that were given
refused    no number has one
unknown    no answer, or a server error: all numbers have one message, or none has
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tests.chaos.oracle import Finding, Row, Verdict


class Told(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Request:
    """One request to send, made once. `numbers` in digits, its own and nobody else's; `answer` as it would be named to
    an operator; `ids` of messages by number, and `bulk_id`, as they were given."""

    what: str
    numbers: tuple[str, ...]
    told: Told
    answer: str
    bulk_id: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)


def judge_requests(requests: Iterable[Request], rows: Iterable[Row]) -> Verdict:
    """Doubled numbers are the oracle's to find."""
    verdict = Verdict()
    by_phone: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_phone[row.phone].append(row)
    for request in requests:
        _judge(verdict, request, {number: by_phone[number] for number in request.numbers})
    return verdict


def _judge(verdict: Verdict, request: Request, messages: Mapping[str, list[Row]]) -> None:
    name = f"{request.what} to {request.numbers[0]} ({len(request.numbers)} numbers), answered {request.answer},"
    with_message = sum(bool(rows) for rows in messages.values())
    if request.told is Told.REFUSED:
        verdict.misstated.append(Finding(f"{name} was refused without a cause"))
        if with_message:
            verdict.misstated.append(Finding(f"{name} has {with_message} messages"))
    elif request.told is Told.UNKNOWN and 0 < with_message < len(messages):
        verdict.lost.append(Finding(f"{name} was half done: {with_message} numbers have a message"))
    elif request.told is Told.ACCEPTED:
        verdict.lost += [Finding(f"{name} has no message for {number}") for number in messages if not messages[number]]
        for number, rows in messages.items():
            verdict.lost += _not_as_told(request, number, rows)


def _not_as_told(request: Request, number: str, rows: list[Row]) -> list[Finding]:
    message_id = request.ids.get(number)
    told = f"{request.what} gave {number} as {message_id} of {request.bulk_id}"
    return [
        Finding(f"{told}; it is {row.message_id} of {row.campaign}", row.number)
        for row in rows
        if row.campaign != request.bulk_id or message_id not in (None, row.message_id)
    ]


def recipients_of(requests: Iterable[Request]) -> list[str]:
    """Numbers that must have a message."""
    return [number for request in requests if request.told is Told.ACCEPTED for number in request.numbers]
