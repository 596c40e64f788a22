"""States of a campaign, and who may move it."""

from enum import StrEnum

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from smsapp.lib.state_machine import Machine


class CampaignKind(TextChoices):
    SINGLE = "single", _("Single send")
    BULK = "bulk", _("Bulk campaign")


class CampaignStatus(TextChoices):
    DRAFT = "draft", _("Draft")
    AWAITING_APPROVAL = "awaiting_approval", _("Awaiting approval")
    SCHEDULED = "scheduled", _("Scheduled")
    RUNNING = "running", _("Running")
    PAUSED = "paused", _("Paused")
    COMPLETED = "completed", _("Completed")
    CANCELLED = "cancelled", _("Cancelled")
    MISSED = "missed", _("Missed")
    FAILED = "failed", _("Failed")


class CanaryState(TextChoices):
    """State of a campaign's canary, its first recipients. Empty: none, or not started."""

    SENDING = "sending", _("The first are being sent")
    WAITING = "waiting", _("Reports on the first are awaited")
    PASSED = "passed", _("The others follow")
    FAILED = "failed", _("Too few of the first were delivered")


class RecurringStatus(TextChoices):
    ACTIVE = "active", _("Active")
    PAUSED = "paused", _("Paused")
    ENDED = "ended", _("Ended")


class Actor(StrEnum):
    """Who moves a campaign."""

    PERSON = "person"
    CLOCK = "clock"
    PIPELINE = "pipeline"


S = CampaignStatus
PERSON, CLOCK, PIPELINE = Actor.PERSON, Actor.CLOCK, Actor.PIPELINE

#: Every conditional update of a campaign's status reads this table.
CAMPAIGN: Machine[CampaignStatus, Actor] = Machine(
    {
        S.DRAFT: {
            S.AWAITING_APPROVAL: (PERSON, PIPELINE),
            S.SCHEDULED: (PERSON,),
            S.RUNNING: (PERSON, PIPELINE),  # the pipeline: a resend, once its recipients are gathered
            S.CANCELLED: (PERSON,),
        },
        S.AWAITING_APPROVAL: dict.fromkeys((S.DRAFT, S.SCHEDULED, S.RUNNING, S.CANCELLED), (PERSON,)),
        S.SCHEDULED: {
            S.DRAFT: (PERSON,),
            S.PAUSED: (PERSON,),
            S.CANCELLED: (PERSON,),
            S.RUNNING: (CLOCK,),
            S.MISSED: (CLOCK,),
            S.AWAITING_APPROVAL: (CLOCK,),  # it changed after it was approved
        },
        S.RUNNING: {
            S.PAUSED: (PERSON, PIPELINE),
            S.CANCELLED: (PERSON,),
            S.COMPLETED: (PIPELINE,),
            S.FAILED: (PIPELINE,),
        },
        S.PAUSED: dict.fromkeys((S.RUNNING, S.SCHEDULED, S.CANCELLED), (PERSON,)),
        S.MISSED: dict.fromkeys((S.SCHEDULED, S.RUNNING, S.CANCELLED), (PERSON,)),
    }
)

#: States that a person resumes a campaign from.
RESUMABLE = (CampaignStatus.PAUSED, CampaignStatus.MISSED)
FINAL = frozenset(status for status in CampaignStatus if not CAMPAIGN.targets(status))


class PauseReason(TextChoices):
    BY_USER = "by_user", _("Paused by a person")
    GATEWAY_REFUSED = "gateway_refused", _("The gateway refuses our account")
    MESSAGES_REFUSED = "messages_refused", _("The gateway refuses one message after the other")
    CANARY = "canary", _("Too few of the first recipients got it")
    NO_CREDIT = "no_credit", _("The credit does not suffice")
    NO_ROUTE = "no_route", _("No route leads to some of its recipients")
    DEFECT = "defect", _("Something is wrong on our side")
