"""What an operator is asked to look at: each question is one row of a table, the urgent ones first."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from accounts.choices import SenderStatus
from accounts.models import Account, SenderId, WebhookEndpoint
from campaigns.choices import CampaignStatus, PauseReason, RecurringStatus
from campaigns.models import Campaign, RecurringCampaign
from messaging.choices import AttemptState, BatchState, Lane
from messaging.models import Attempt, Batch, Gateway, ReportInbox, RouteHealth
from messaging.models.gateways import FULL_SHARE
from messaging.sending import unrouted
from uploads.choices import UploadStatus
from uploads.models import Upload

BACKLOG_AFTER = timedelta(minutes=1)
FAILED_UPLOADS_SHOWN_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Question:
    """A notice if there are such rows at a moment; `query` finds them in the console; `is_urgent` when sending stands
    still."""

    title: str
    advice: str
    rows: Callable[[datetime], QuerySet[Any]]
    query: str
    is_urgent: bool = False


def _paused(reason: PauseReason) -> QuerySet[Campaign]:
    return Campaign.objects.filter(status=CampaignStatus.PAUSED, pause_reason=reason)


def _ready() -> QuerySet[Batch]:
    return Batch.objects.filter(state=BatchState.READY, campaign__status=CampaignStatus.RUNNING)


QUESTIONS = (
    Question(
        "Campaigns paused: the gateway refuses our account",
        "Correct its key or credit, then resume them. Nothing has failed; the messages wait.",
        lambda now: _paused(PauseReason.GATEWAY_REFUSED),
        "status=paused",
        is_urgent=True,
    ),
    Question(
        "Campaigns paused: the gateway refuses one message after the other",
        "Read the reason on the campaign, put the gateway or the campaign's sender right, then resume it.",
        lambda now: _paused(PauseReason.MESSAGES_REFUSED),
        "status=paused",
        is_urgent=True,
    ),
    Question(
        "Campaigns paused: no route leads to some of their recipients",
        "Each names the numbers. Add a route for them, then resume it. Nothing has failed; the messages wait.",
        lambda now: _paused(PauseReason.NO_ROUTE),
        "status=paused",
        is_urgent=True,
    ),
    Question(
        "Sends that wait for a route",
        "Add a route for their numbers: they leave within seconds. Single sends fail when their time is over.",
        lambda now: unrouted.waiting(),
        "state=unrouted",
        is_urgent=True,
    ),
    Question(
        "Calls overdue",
        "Their deadline passed unsettled: the sweep or the periodic worker is not running.",
        lambda now: Attempt.objects.overdue(now - timedelta(minutes=1)),
        "state=open",
        is_urgent=True,
    ),
    Question(
        "Batches with an overdue lease",
        "A worker stopped in the middle; the sweep takes them back within seconds, unless it is not running.",
        lambda now: Batch.objects.overdue_leases(now - timedelta(seconds=30)),
        "state=leased",
        is_urgent=True,
    ),
    Question(
        "Calls with an unknown outcome",
        "The gateway's answer was lost. They are looked up at the provider and never sent again blindly.",
        lambda now: Attempt.objects.filter(state=AttemptState.UNKNOWN),
        "state=unknown",
    ),
    Question(
        "Report bodies that could not be applied",
        "They are kept and tried again; their error says why.",
        lambda now: ReportInbox.objects.filter(applied_at=None, failure_count__gt=0),
        "applied=failing",
    ),
    Question(
        "Report bodies with reports on messages that do not exist",
        "Their ids are ours. They are matched again every minute; is this database, or a standby, behind?",
        lambda now: ReportInbox.objects.filter(rematch_at__isnull=False),
        "applied=unmatched",
    ),
    Question(
        "Gateways that are off while messages wait for them",
        "Send a test and switch them on, or add another route for these messages.",
        lambda now: Gateway.objects.filter(is_enabled=False).filter(Exists(_ready().filter(gateway=OuterRef("name")))),
        "is_enabled__exact=0",
        is_urgent=True,
    ),
    Question(
        "Single sends that have waited for more than a minute",
        "No worker takes them, or their gateway takes no more: look at its state and at the workers.",
        lambda now: _ready().filter(
            lane=Lane.SINGLES, next_attempt_at__lt=now - BACKLOG_AFTER, created_at__lt=now - BACKLOG_AFTER
        ),
        "state=ready",
        is_urgent=True,
    ),
    Question(
        "Campaigns that wait for approval",
        "A second person of the account approves them, or you do.",
        lambda now: Campaign.objects.filter(status=CampaignStatus.AWAITING_APPROVAL),
        "status=awaiting_approval",
    ),
    Question(
        "Accounts whose credit is used up",
        "What they send is refused until they are topped up.",
        lambda now: Account.objects.filter(is_metered=True, is_active=True, balance_micro__lte=0),
        "is_metered__exact=1",
    ),
    Question(
        "Campaigns that missed their time",
        "The service was not running when they were due: resume or cancel them.",
        lambda now: Campaign.objects.filter(status=CampaignStatus.MISSED),
        "status=missed",
    ),
    Question(
        "Sender IDs waiting for approval",
        "Approve or reject them.",
        lambda now: SenderId.objects.filter(status=SenderStatus.PENDING),
        "status__exact=pending",
    ),
    Question(
        "Uploads that failed in the last 7 days",
        "Their failure reason says why; the customer sees it too.",
        lambda now: Upload.objects.filter(status=UploadStatus.FAILED, uploaded_at__gte=now - FAILED_UPLOADS_SHOWN_FOR),
        "status=failed",
    ),
    Question(
        "Webhook endpoints that have failed for a day",
        "Their owners lose events in the end: an endpoint is switched off after three days.",
        lambda now: WebhookEndpoint.objects.filter(
            failing_since__isnull=False, told_failing_at__isnull=False, is_active=True
        ),
        "success=failing-day",
    ),
    Question(
        "Campaigns paused: their account's credit does not suffice",
        "When it is topped up, its people resume them.",
        lambda now: _paused(PauseReason.NO_CREDIT),
        "status=paused",
    ),
    Question(
        "Campaigns paused: too few of their first recipients got it",
        "Each says how many. Its people resume it, or cancel it.",
        lambda now: _paused(PauseReason.CANARY),
        "status=paused",
    ),
    Question(
        "Recurring campaigns that stopped: their last moments made nothing",
        "Each says why. Once it is put right, resume them.",
        lambda now: RecurringCampaign.objects.filter(status=RecurringStatus.PAUSED, failure_count__gt=0),
        "status__exact=paused",
    ),
    Question(
        "Accounts that were put on hold automatically",
        "Each says why. Release it on its page once that is cleared up.",
        lambda now: Account.objects.filter(is_active=False).exclude(hold_reason=""),
        "is_active__exact=0",
        is_urgent=True,
    ),
    Question(
        "Gateways that do badly in a country",
        "They get less of its messages, and more again as they do better.",
        lambda now: RouteHealth.objects.filter(share__lt=FULL_SHARE),
        "",
    ),
    Question(
        "Campaigns paused by a person",
        "For information.",
        lambda now: _paused(PauseReason.BY_USER),
        "status=paused",
    ),
)
