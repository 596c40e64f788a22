"""What needs an operator's attention, counted from small or indexed sets only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from accounts import system_state
from accounts.security import sending_hold
from accounts.security.sending_hold import Hold, HoldKind
from messaging.gateways import balance, registry
from messaging.outcomes import conflicts, segment_drift
from messaging.outcomes.conflicts import Contradictions
from messaging.outcomes.segment_drift import Drifts
from messaging.routing import throttle
from reports.selectors.attention_questions import QUESTIONS
from smsapp.core import clock, pulse

COUNT_LIMIT = 1000
COUNTED_AT_ONCE = 2  # by one statement; to plan three takes about a millisecond


@dataclass(frozen=True, slots=True)
class Notice:
    """`model` and `query` lead to the rows, `page` names a page of its own instead; `count` stops at COUNT_LIMIT;
    `is_urgent` when sending stands still."""

    title: str
    advice: str
    count: int
    model: str
    query: str
    is_urgent: bool = False
    page: str = ""

    @property
    def shown_count(self) -> str:
        return f"{COUNT_LIMIT}+" if self.count >= COUNT_LIMIT else str(self.count)


def attention() -> list[Notice]:
    """Only what is not empty, the urgent first."""
    held, last_balance, of_providers, of_states, drifts = system_state.get_all(
        sending_hold.HOLD, balance.LAST, conflicts.OF_PROVIDERS, conflicts.OF_STATES, segment_drift.DRIFTS
    )
    notices = [
        *_hold_notice(held),
        *_silence_notice(),
        *_balance_notice(last_balance),
        *_down_notice(),
        _contradiction_notice(
            of_providers,
            conflicts.PROVIDER,
            "Messages closed as not sent that the provider has",
            "This must never happen: look into each, then empty the list.",
        ),
        _contradiction_notice(
            of_states,
            conflicts.STATES,
            "States that contradict each other",
            "This must never happen: what they name will not move on by itself.",
        ),
        *_answered(),
        *_drift_notices(drifts),
    ]
    return [notice for notice in notices if notice.count]


def _answered() -> list[Notice]:
    now = clock.about_now()
    rows = [question.rows(now) for question in QUESTIONS]
    return [
        Notice(
            question.title, question.advice, count, found.model._meta.label_lower, question.query, question.is_urgent
        )
        for question, found, count in zip(QUESTIONS, rows, _counts(rows), strict=True)
    ]


def _silence_notice() -> list[Notice]:
    """Without beat nothing comes to a queue either: one notice says it all."""
    silent = pulse.silent()
    if not silent:
        return []
    title = f"Not running: {'beat' if pulse.BEAT in silent else 'workers of ' + ', '.join(silent)}"
    advice = "No sign of life for minutes. Start it again; what waits for it is kept."
    return [Notice(title, advice, len(silent), "", "", is_urgent=True, page="admin:index")]


def _hold_notice(held: Hold | None) -> list[Notice]:
    if held is None:
        return []
    title, is_urgent = f"Sending is held: {held.reason}", held.kind is not HoldKind.CHECKING
    advice = held.detail or f"By {held.by}."
    return [Notice(title, advice, 1, "accounts.setting", f"key={sending_hold.KEY}", is_urgent, "sending")]


def _balance_notice(last: Mapping[str, Any]) -> list[Notice]:
    if not balance.is_low(last):
        return []
    advice = "Top it up: when it is used up, the gateway refuses our account and campaigns are paused."
    return [Notice("The balance at the provider is low", advice, 1, "accounts.setting", f"key={balance.KEY}", True)]


def _down_notice() -> list[Notice]:
    down = [name for name in registry.names() if throttle.is_down(name)]
    advice = f"Calls fail: {', '.join(down)}. They are tried one at a time; messages go by other routes, or wait."
    return [Notice("Gateways that are down", advice, len(down), "messaging.gateway", "", True)] if down else []


def _contradiction_notice(found: Contradictions, key: str, title: str, advice: str) -> Notice:
    return Notice(title, advice, found.count, "accounts.setting", f"key={key}", is_urgent=True)


def _drift_notices(by_gateway: Mapping[str, Drifts]) -> list[Notice]:
    return [
        Notice(
            f"Reports of {gateway} that name other segments than we counted",
            f"You pay its count, customers pay ours. The last: {drifts.last[0] if drifts.last else 'none kept'}",
            drifts.count,
            "accounts.setting",
            f"key={segment_drift.KEY}",
        )
        for gateway, drifts in by_gateway.items()
    ]


def _counts(asked: Sequence[QuerySet[Any]]) -> list[int]:
    """Rows of each, up to COUNT_LIMIT."""
    groups = (asked[n : n + COUNTED_AT_ONCE] for n in range(0, len(asked), COUNTED_AT_ONCE))
    return [count for group in groups for count in _counts_at_once(group)]


def _counts_at_once(asked: Sequence[QuerySet[Any]]) -> tuple[int, ...]:
    limited = (rows.order_by().values("pk")[:COUNT_LIMIT].query.sql_with_params() for rows in asked)
    statements, values = zip(*limited, strict=True)
    counts = ", ".join(f"(SELECT COUNT(*) FROM ({statement}) AS found)" for statement in statements)  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {counts}", list(chain(*values)))
        row: tuple[int, ...] = cursor.fetchone()
    return row
