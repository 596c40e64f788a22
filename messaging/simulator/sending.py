"""Accepting a send: what becomes of each message, what it costs, what the answer says."""

import itertools
import math
import time
from collections import defaultdict

from aiohttp import web

from messaging.simulator.calls import Call, Terms
from messaging.simulator.faults import Faults
from messaging.simulator.ledger import Ledger
from messaging.simulator.options import Options
from messaging.simulator.outcomes import (
    REFUSED_ACCOUNT,
    REFUSED_BLOCKLISTED,
    REFUSED_REPEATED,
    REFUSED_TOO_LONG,
    Json,
    Outcome,
    Outcomes,
)
from messaging.simulator.protocol import MAX_SEGMENTS, MICRO, Send, error_body, price_of
from messaging.simulator.responses import json_response, raw

#: An id refused for one of these may come again: when there is credit; and the first with it counts.
NOT_REMEMBERED = (REFUSED_ACCOUNT, REFUSED_REPEATED)


class Account:
    """Prepaid credit, in millionths."""

    def __init__(self, options: Options, ledger: Ledger) -> None:
        self._balance = round(options.balance * MICRO)
        for entry in ledger:
            if entry.outcome.accepted:
                self._balance -= price_of(entry.to) * entry.segments

    @property
    def balance(self) -> float:
        return self._balance / MICRO

    def charge(self, amount: int) -> bool:
        if amount > self._balance:
            return False
        self._balance -= amount
        return True


class Throttle:
    """A bucket of one second's messages, which a call takes whole or not at all."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._room, self._at = 0.0, -math.inf

    def takes(self, send: Send) -> bool:
        limit, now = self._faults.setting("rate_limit"), time.monotonic()
        if not limit:
            return True
        room = min(limit, self._room + (now - self._at) * limit)
        count = len(send.ids)
        is_taken = count <= room
        self._room, self._at = room - count * is_taken, now
        return is_taken


def too_fast(faults: Faults) -> web.Response:
    response = json_response(error_body(429, "Too many requests."), status=429)
    if faults.setting("rate_limit_retry_after"):
        response.headers["Retry-After"] = f"{faults.setting('rate_limit_retry_after'):g}"
    return response


class Desk:
    """Turns a send into accepted calls and the entries of its answer."""

    def __init__(self, options: Options, ledger: Ledger, faults: Faults, account: Account) -> None:
        self._options, self._ledger, self._faults, self._account = options, ledger, faults, account
        self._outcomes = Outcomes(options)
        self._new_ids = map(str, itertools.count(time.time_ns()))

    def accept(self, send: Send) -> tuple[list[Call], list[Json]]:
        """Nothing is written yet: the caller hands the calls to the ledger before it answers."""
        send.reference = send.reference or next(self._new_ids)
        send.ids = [message_id or next(self._new_ids) for message_id in send.ids]
        if self._faults.fires("refuse_account"):
            outcomes = [REFUSED_ACCOUNT] * len(send.ids)
        else:
            outcomes = self._at_once(send) or self._one_by_one(send)
        return self._calls(send, outcomes), _answer(send, outcomes)

    def _at_once(self, send: Send) -> list[Outcome] | None:
        """What becomes of the numbers; None if anything else has a say: a fault, length, a repeated id, credit."""
        if (
            self._faults.is_set("refuse_message")
            or max(send.segments) > MAX_SEGMENTS
            or not self._ledger.is_new(send.ids)
        ):
            return None
        outcomes = list(map(self._outcomes.of, send.numbers))
        messages = zip(outcomes, send.numbers, send.segments, strict=True)
        cost = sum(price_of(to) * segments for outcome, to, segments in messages if outcome.accepted)
        return outcomes if self._account.charge(cost) else None

    def _one_by_one(self, send: Send) -> list[Outcome]:
        """The credit that is left depends on the messages before, and so does which ids are repeated."""
        refuses_repeated = self._faults.setting("refuse_repeated")
        seen: set[str] = set()
        outcomes = []
        for message_id, to, segments in zip(send.ids, send.numbers, send.segments, strict=True):
            if refuses_repeated and (message_id in self._ledger or message_id in seen):
                self._ledger.repeats[message_id] += 1
                outcomes.append(REFUSED_REPEATED)
                continue
            outcome = self.outcome_of(to, segments)
            if outcome is not REFUSED_ACCOUNT:
                seen.add(message_id)
            outcomes.append(outcome)
        return outcomes

    def outcome_of(self, to: str, segments: int) -> Outcome:
        """What becomes of a message, for which is paid if it is taken."""
        if segments > MAX_SEGMENTS:
            return REFUSED_TOO_LONG
        if self._faults.fires("refuse_message"):
            return REFUSED_BLOCKLISTED
        outcome = self._outcomes.of(to)
        if outcome.accepted and not self._account.charge(price_of(to) * segments):
            return REFUSED_ACCOUNT
        return outcome

    def _calls(self, send: Send, outcomes: list[Outcome]) -> list[Call]:
        """A call for each of the terms: texts may differ within it, what its reports need does not."""
        indexes_by_terms: defaultdict[Terms, list[int]] = defaultdict(list)
        for index, (terms, outcome) in enumerate(zip(send.terms, outcomes, strict=True)):
            if outcome not in NOT_REMEMBERED:
                indexes_by_terms[terms].append(index)
        delay = self._faults.setting("report_delay_ms") / 1000
        return [
            Call(
                send.reference,
                terms,
                time.time(),
                delay,
                ids=[send.ids[index] for index in indexes],
                numbers=[send.numbers[index] for index in indexes],
                outcomes=[outcomes[index] for index in indexes],
                segments=[send.segments[index] for index in indexes],
                texts=[send.texts[index] for index in indexes] if self._options.keep_text else (),
            )
            for terms, indexes in indexes_by_terms.items()
        ]


def _answer(send: Send, outcomes: list[Outcome]) -> list[Json]:
    statuses = {outcome: raw(outcome.answer) for outcome in set(outcomes)}
    entries: list[Json] = [
        {"messageId": message_id, "status": statuses[outcome], "destination": to}
        for message_id, to, outcome in zip(send.ids, send.numbers, outcomes, strict=True)
    ]
    if send.with_count:
        details = {segments: raw({"messageCount": segments}) for segments in set(send.segments)}
        for entry, segments in zip(entries, send.segments, strict=True):
            entry["details"] = details[segments]
    return entries
