"""Accepting a send: what becomes of each message, what it costs, what the answer says."""

import itertools
import math
import time

from aiohttp import web

from messaging.simulator.faults import Faults
from messaging.simulator.ledger import Call, Entry, Ledger
from messaging.simulator.options import Options
from messaging.simulator.outcomes import (
    NO_CREDIT,
    REFUSED_ACCOUNT,
    REFUSED_BLOCKLISTED,
    REFUSED_TOO_LONG,
    REPEATED,
    Json,
    Outcome,
    outcome_of,
)
from messaging.simulator.protocol import (
    MAX_SEGMENTS,
    MICRO,
    Group,
    Send,
    answer_entry,
    error_body,
    price_of,
)
from messaging.simulator.responses import json_response


class Account:
    """Prepaid credit, in millionths."""

    def __init__(self, options: Options, ledger: Ledger) -> None:
        self._balance = round(options.balance * MICRO)
        for entry in ledger.entries.values():
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
        count = sum(len(group.destinations) for group in send.groups)
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
        self._ids = itertools.count(time.time_ns())

    def accept(self, send: Send) -> tuple[list[Call], list[Json]]:
        """Nothing is written yet: the caller hands the calls to the ledger before it answers."""
        reference = send.reference or str(next(self._ids))
        send.reference = reference
        is_refused = self._faults.fires("refuse_account")
        calls: dict[tuple[str, str, str, bool], Call] = {}
        answer: list[Json] = []
        seen: set[str] = set()
        for group in send.groups:
            call = self._call_for(group, reference, calls)
            count = group.segments if send.with_count else None
            for to, given_id in group.destinations:
                message_id = given_id or str(next(self._ids))
                status = NO_CREDIT if is_refused else self._place(call, group, to, message_id, seen)
                answer.append(answer_entry(message_id, to, status, count))
        return [call for call in calls.values() if call.entries], answer

    def _call_for(self, group: Group, reference: str, calls: dict[tuple[str, str, str, bool], Call]) -> Call:
        """Texts may differ within a call; what its reports need does not."""
        url = group.report_url if group.notify else ""
        key = (group.sender, url, group.callback_data, group.intermediate)
        if key not in calls:
            delay = self._faults.setting("report_delay_ms") / 1000
            calls[key] = Call(reference, group.sender, url, time.time(), delay, group.callback_data, group.intermediate)
        return calls[key]

    def _place(self, call: Call, group: Group, to: str, message_id: str, seen: set[str]) -> Json:
        if (message_id in self._ledger.entries or message_id in seen) and self._faults.setting("refuse_repeated"):
            self._ledger.repeats[message_id] += 1
            return REPEATED
        outcome = self._outcome(group, to)
        if outcome is REFUSED_ACCOUNT:  # not remembered: the same id may come again when there is credit
            return outcome.answer
        seen.add(message_id)
        text = group.text if self._options.keep_text else ""
        call.entries.append(Entry(message_id, to, outcome, group.segments, call, text))
        return outcome.answer

    def _outcome(self, group: Group, to: str) -> Outcome:
        if group.segments > MAX_SEGMENTS:
            return REFUSED_TOO_LONG
        if self._faults.fires("refuse_message"):
            return REFUSED_BLOCKLISTED
        outcome = outcome_of(to, self._options)
        if outcome.accepted and not self._account.charge(price_of(to) * group.segments):
            return REFUSED_ACCOUNT
        return outcome
