"""States of a campaign, and who may move it."""

from enum import StrEnum

from django.db.models import TextChoices

from smsapp.lib.states import Machine


class CampaignKind(TextChoices):
    SINGLE = "single", "Single send"
    BULK = "bulk", "Bulk campaign"


class CampaignStatus(TextChoices):
    DRAFT = "draft", "Draft"
    AWAITING_APPROVAL = "awaiting_approval", "Awaiting approval"
    SCHEDULED = "scheduled", "Scheduled"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    COMPLETED = "completed", "Completed"
    CANCELLED = "cancelled", "Cancelled"
    MISSED = "missed", "Missed"
    FAILED = "failed", "Failed"


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
            S.RUNNING: (PERSON, PIPELINE),  # the pipeline: a resent campaign, once its recipients are gathered
            S.CANCELLED: (PERSON,),
        },
        S.AWAITING_APPROVAL: dict.fromkeys((S.DRAFT, S.SCHEDULED, S.RUNNING, S.CANCELLED), (PERSON,)),
        S.SCHEDULED: {
            S.DRAFT: (PERSON,),
            S.PAUSED: (PERSON,),
            S.CANCELLED: (PERSON,),
            S.RUNNING: (CLOCK,),
            S.MISSED: (CLOCK,),
            S.AWAITING_APPROVAL: (CLOCK,),  # it is not what was approved
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

FINAL = frozenset(status for status in CampaignStatus if not CAMPAIGN.targets(status))


class PauseReason(TextChoices):
    BY_USER = "by_user", "Paused by a person"
    GATEWAY_REFUSED = "gateway_refused", "The gateway refuses our account"
    NO_CREDIT = "no_credit", "The credit does not suffice"
    DEFECT = "defect", "Something is wrong on our side"
