"""What needs an operator's hand, counted from small or indexed sets only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from accounts.choices import SenderStatus
from accounts.models import Account, SenderId, Setting, WebhookEndpoint
from accounts.security import sending_hold
from accounts.security.sending_hold import HoldKind
from campaigns.choices import CampaignStatus, PauseReason, RecurringStatus
from campaigns.models import Campaign, RecurringCampaign
from messaging.choices import AttemptState, BatchState, Lane
from messaging.gateways import balance, registry
from messaging.models import Attempt, Batch, Gateway, ReportInbox, RouteHealth
from messaging.models.gateways import FULL_SHARE
from messaging.outcomes import conflicts, segment_drift
from messaging.routing import throttle
from messaging.sending import unrouted
from smsapp.core import clock, pulse
from uploads.choices import UploadStatus
from uploads.models import Upload

COUNT_LIMIT = 1000
BACKLOG_AFTER = timedelta(minutes=1)
COUNTED_AT_ONCE = 2  # by one statement; to plan three takes about a millisecond
FAILED_UPLOADS_SHOWN_FOR = timedelta(days=7)


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


@dataclass(frozen=True, slots=True)
class _Question:
    """A notice if there are such rows; `query` finds them in the console."""

    title: str
    advice: str
    rows: QuerySet[Any]
    query: str
    is_urgent: bool = False

    def answer(self, count: int) -> Notice:
        return Notice(self.title, self.advice, count, self.rows.model._meta.label_lower, self.query, self.is_urgent)


def attention() -> list[Notice]:
    """Only what is not empty, the urgent first."""
    keys = (sending_hold.KEY, balance.KEY, conflicts.PROVIDER, conflicts.STATES, segment_drift.KEY)
    stored = dict(Setting.objects.filter(key__in=keys).values_list("key", "value"))
    questions = _questions()
    counts = _counts([question.rows for question in questions])
    notices = [
        *_hold_notice(stored),
        *_silence_notice(),
        *_balance_notice(stored.get(balance.KEY, "")),
        *_down_notice(),
        _contradiction_notice(
            stored,
            conflicts.PROVIDER,
            "Messages closed as not sent that the provider has",
            "This must never happen: look into each, then empty the list.",
        ),
        _contradiction_notice(
            stored,
            conflicts.STATES,
            "States that contradict each other",
            "This must never happen: what they name will not move on by itself.",
        ),
        *(question.answer(count) for question, count in zip(questions, counts, strict=True)),
        *_drift_notices(stored.get(segment_drift.KEY, "")),
    ]
    return [notice for notice in notices if notice.count]


def _questions() -> list[_Question]:
    """The urgent first."""
    now = clock.about_now()
    paused = Campaign.objects.filter(status=CampaignStatus.PAUSED)
    ready = Batch.objects.filter(state=BatchState.READY, campaign__status=CampaignStatus.RUNNING)
    return [
        _Question(
            "Campaigns paused: the gateway refuses our account",
            "Correct its key or credit, then resume them. Nothing has failed; the messages wait.",
            paused.filter(pause_reason=PauseReason.GATEWAY_REFUSED),
            "status=paused",
            is_urgent=True,
        ),
        _Question(
            "Campaigns paused: the gateway refuses one message after the other",
            "Read the reason on the campaign, put the gateway or the campaign's sender right, then resume it.",
            paused.filter(pause_reason=PauseReason.MESSAGES_REFUSED),
            "status=paused",
            is_urgent=True,
        ),
        _Question(
            "Campaigns paused: no route leads to some of their recipients",
            "Each names the numbers. Add a route for them, then resume it. Nothing has failed; the messages wait.",
            paused.filter(pause_reason=PauseReason.NO_ROUTE),
            "status=paused",
            is_urgent=True,
        ),
        _Question(
            "Sends that wait for a route",
            "Add a route for their numbers: they leave within seconds. Single sends fail when their time is over.",
            unrouted.waiting(),
            "state=unrouted",
            is_urgent=True,
        ),
        _Question(
            "Calls overdue",
            "Their deadline passed unsettled: the sweep or the periodic worker is not running.",
            Attempt.objects.overdue(now - timedelta(minutes=1)),
            "state=open",
            is_urgent=True,
        ),
        _Question(
            "Batches with an overdue lease",
            "A worker stopped in the middle; the sweep takes them back within seconds, unless it is not running.",
            Batch.objects.overdue_leases(now - timedelta(seconds=30)),
            "state=leased",
            is_urgent=True,
        ),
        _Question(
            "Calls with an unknown outcome",
            "The gateway's answer was lost. They are looked up at the provider and never sent again blindly.",
            Attempt.objects.filter(state=AttemptState.UNKNOWN),
            "state=unknown",
        ),
        _Question(
            "Report bodies that could not be applied",
            "They are kept and tried again; their error says why.",
            ReportInbox.objects.filter(applied_at=None, failure_count__gt=0),
            "applied=failing",
        ),
        _Question(
            "Report bodies with reports on messages that do not exist",
            "Their ids are ours. They are matched again every minute; is this database, or a standby, behind?",
            ReportInbox.objects.filter(rematch_at__isnull=False),
            "applied=unmatched",
        ),
        _Question(
            "Gateways that are off while messages wait for them",
            "Send a test and switch them on, or add another route for these messages.",
            Gateway.objects.filter(is_enabled=False).filter(Exists(ready.filter(gateway=OuterRef("name")))),
            "is_enabled__exact=0",
            is_urgent=True,
        ),
        _Question(
            "Single sends that have waited for more than a minute",
            "No worker takes them, or their gateway takes no more: look at its state and at the workers.",
            ready.filter(
                lane=Lane.SINGLES, next_attempt_at__lt=now - BACKLOG_AFTER, created_at__lt=now - BACKLOG_AFTER
            ),
            "state=ready",
            is_urgent=True,
        ),
        _Question(
            "Campaigns that wait for approval",
            "A second person of the account approves them, or you do.",
            Campaign.objects.filter(status=CampaignStatus.AWAITING_APPROVAL),
            "status=awaiting_approval",
        ),
        _Question(
            "Accounts whose credit is used up",
            "What they send is refused until they are topped up.",
            Account.objects.filter(is_metered=True, is_active=True, balance_micro__lte=0),
            "is_metered__exact=1",
        ),
        _Question(
            "Campaigns that missed their time",
            "The service was not running when they were due: resume or cancel them.",
            Campaign.objects.filter(status=CampaignStatus.MISSED),
            "status=missed",
        ),
        _Question(
            "Sender IDs waiting for approval",
            "Approve or reject them.",
            SenderId.objects.filter(status=SenderStatus.PENDING),
            "status__exact=pending",
        ),
        _Question(
            "Uploads that failed in the last 7 days",
            "Their failure reason says why; the customer sees it too.",
            Upload.objects.filter(status=UploadStatus.FAILED, uploaded_at__gte=now - FAILED_UPLOADS_SHOWN_FOR),
            "status=failed",
        ),
        _Question(
            "Webhook endpoints that have failed for a day",
            "Their owners lose events in the end: an endpoint is switched off after three days.",
            WebhookEndpoint.objects.filter(failing_since__isnull=False, told_failing_at__isnull=False, is_active=True),
            "success=failing-day",
        ),
        _Question(
            "Campaigns paused: their account's credit does not suffice",
            "When it is topped up, its people resume them.",
            paused.filter(pause_reason=PauseReason.NO_CREDIT),
            "status=paused",
        ),
        _Question(
            "Campaigns paused: too few of their first recipients got it",
            "Each says how many. Its people resume it, or cancel it.",
            paused.filter(pause_reason=PauseReason.CANARY),
            "status=paused",
        ),
        _Question(
            "Recurring campaigns that stopped: their last moments made nothing",
            "Each says why. Once it is put right, resume them.",
            RecurringCampaign.objects.filter(status=RecurringStatus.PAUSED, failure_count__gt=0),
            "status__exact=paused",
        ),
        _Question(
            "Accounts that were put on hold automatically",
            "Each says why. Release it on its page once that is cleared up.",
            Account.objects.filter(is_active=False).exclude(hold_reason=""),
            "is_active__exact=0",
            is_urgent=True,
        ),
        _Question(
            "Gateways that do badly in a country",
            "They get less of its messages, and more again as they do better.",
            RouteHealth.objects.filter(share__lt=FULL_SHARE),
            "",
        ),
        _Question(
            "Campaigns paused by a person",
            "For information.",
            paused.filter(pause_reason=PauseReason.BY_USER),
            "status=paused",
        ),
    ]


def _silence_notice() -> list[Notice]:
    """Without beat nothing comes to a queue either: one notice says it all."""
    silent = pulse.silent()
    if not silent:
        return []
    title = f"Not running: {'beat' if pulse.BEAT in silent else 'workers of ' + ', '.join(silent)}"
    advice = "No sign of life for minutes. Start it again; what waits for it is kept."
    return [Notice(title, advice, len(silent), "", "", is_urgent=True, page="admin:index")]


def _hold_notice(stored: Mapping[str, str]) -> list[Notice]:
    held = sending_hold.read(stored.get(sending_hold.KEY, ""))
    if held is None:
        return []
    title, is_urgent = f"Sending is held: {held.reason}", held.kind is not HoldKind.CHECKING
    advice = held.detail or f"By {held.by}."
    return [Notice(title, advice, 1, "accounts.setting", f"key={sending_hold.KEY}", is_urgent, "sending")]


def _balance_notice(stored: str) -> list[Notice]:
    if not balance.is_low(stored):
        return []
    advice = "Top it up: when it is used up, the gateway refuses our account and campaigns are paused."
    return [Notice("The balance at the provider is low", advice, 1, "accounts.setting", f"key={balance.KEY}", True)]


def _down_notice() -> list[Notice]:
    down = [name for name in registry.names() if throttle.is_down(name)]
    advice = f"Calls fail: {', '.join(down)}. They are tried one at a time; messages go by other routes, or wait."
    return [Notice("Gateways that are down", advice, len(down), "messaging.gateway", "", True)] if down else []


def _contradiction_notice(stored: Mapping[str, str], key: str, title: str, advice: str) -> Notice:
    return Notice(
        title, advice, conflicts.read(stored.get(key, "")).count, "accounts.setting", f"key={key}", is_urgent=True
    )


def _drift_notices(stored: str) -> list[Notice]:
    return [
        Notice(
            f"Reports of {gateway} that name other segments than we counted",
            f"You pay its count, customers pay ours. The last: {drifts.last[0] if drifts.last else 'none kept'}",
            drifts.count,
            "accounts.setting",
            f"key={segment_drift.KEY}",
        )
        for gateway, drifts in segment_drift.read(stored).items()
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
