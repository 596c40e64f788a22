"""States of a campaign and the moves between them."""

from django.db.models import TextChoices


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


S = CampaignStatus

#: Allowed moves; every conditional update of a campaign's status reads this table.
MOVES: dict[CampaignStatus, frozenset[CampaignStatus]] = {
    S.DRAFT: frozenset({S.AWAITING_APPROVAL, S.SCHEDULED, S.RUNNING, S.CANCELLED}),
    S.AWAITING_APPROVAL: frozenset({S.DRAFT, S.SCHEDULED, S.RUNNING, S.CANCELLED}),
    S.SCHEDULED: frozenset({S.DRAFT, S.RUNNING, S.PAUSED, S.CANCELLED, S.MISSED}),
    S.RUNNING: frozenset({S.PAUSED, S.COMPLETED, S.CANCELLED, S.FAILED}),
    S.PAUSED: frozenset({S.RUNNING, S.SCHEDULED, S.CANCELLED}),
    S.MISSED: frozenset({S.SCHEDULED, S.RUNNING, S.CANCELLED}),
    S.COMPLETED: frozenset(),
    S.CANCELLED: frozenset(),
    S.FAILED: frozenset(),
}

FINAL = frozenset(status for status, moves in MOVES.items() if not moves)


def sources_of(target: CampaignStatus) -> list[CampaignStatus]:
    """The states from which a campaign may move to `target`."""
    return [status for status, moves in MOVES.items() if target in moves]


class PauseReason(TextChoices):
    BY_USER = "by_user", "Paused by a person"
    GATEWAY_REFUSED = "gateway_refused", "The gateway refuses our account"
    DEFECT = "defect", "Something is wrong on our side"
