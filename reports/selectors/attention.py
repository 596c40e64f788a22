"""What needs an operator's hand, counted from small or indexed sets only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from accounts import hold
from accounts.choices import SenderStatus
from accounts.models import Account, SenderId, Setting, WebhookEndpoint
from campaigns.choices import CampaignStatus, PauseReason, RecurringStatus
from campaigns.models import Campaign, RecurringCampaign
from messaging import balance, contradictions
from messaging.choices import BatchState
from messaging.models import Attempt, Batch, ReportInbox, RouteHealth
from messaging.models.gateways import FULL_SHARE
from uploads.choices import UploadStatus
from uploads.models import Upload

COUNT_LIMIT = 1000
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
    settings = Setting.objects.filter(key__in=(hold.KEY, balance.KEY, contradictions.PROVIDER, contradictions.STATES))
    stored = dict(settings.values_list("key", "value"))
    questions = _questions()
    counts = _counts([question.rows for question in questions])
    notices = [
        *_hold_notice(stored),
        *_balance_notice(stored.get(balance.KEY, "")),
        _contradiction_notice(
            stored,
            contradictions.PROVIDER,
            "Messages closed as not sent that the provider has",
            "This must never happen: look into each, then empty the list.",
        ),
        _contradiction_notice(
            stored,
            contradictions.STATES,
            "States that contradict each other",
            "This must never happen: what they name will not move on by itself.",
        ),
        *(question.answer(count) for question, count in zip(questions, counts, strict=True)),
    ]
    return [notice for notice in notices if notice.count]


def _questions() -> list[_Question]:
    """The urgent first."""
    now = timezone.now()
    paused = Campaign.objects.filter(status=CampaignStatus.PAUSED)
    return [
        _Question(
            "Campaigns paused: the gateway refuses our account",
            "Correct its key or credit, then resume them. Nothing has failed; the messages wait.",
            paused.filter(pause_reason=PauseReason.GATEWAY_REFUSED),
            "status=paused",
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
            "Batches with an unknown outcome",
            "The gateway's answer was lost. They are looked up at the provider and never sent again blindly.",
            Batch.objects.filter(state=BatchState.UNKNOWN),
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


def _hold_notice(stored: Mapping[str, str]) -> list[Notice]:
    held = hold.read(stored.get(hold.KEY, ""))
    if held is None:
        return []
    title = f"Sending is held: {held.reason}"
    return [Notice(title, held.detail or f"By {held.by}.", 1, "accounts.setting", f"key={hold.KEY}", True, "sending")]


def _balance_notice(stored: str) -> list[Notice]:
    if not balance.is_low(stored):
        return []
    advice = "Top it up: when it is used up, the gateway refuses our account and campaigns are paused."
    return [Notice("The balance at the provider is low", advice, 1, "accounts.setting", f"key={balance.KEY}", True)]


def _contradiction_notice(stored: Mapping[str, str], key: str, title: str, advice: str) -> Notice:
    return Notice(
        title, advice, contradictions.read(stored.get(key, "")).count, "accounts.setting", f"key={key}", is_urgent=True
    )


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
