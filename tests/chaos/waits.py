"""How long single sends wait beside a gateway that hangs: from the row of a campaign to that of its first call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import F, Min

from campaigns.choices import CampaignKind
from messaging.models import Attempt
from tests.chaos.hanging import NAME as HANGING
from tests.chaos.oracle import Finding
from tests.chaos.plan import Target

#: Seconds until a single send's first call, where nothing that it needs was struck: longer than a busy machine needs,
#: and shorter than it takes to find what was forgotten. How long it takes where nothing else is to be done the
#: benchmarks say.
STALLED_AFTER = 15.0
RECOVERED_AFTER = 20.0  # seconds from a blow until what was struck is at work again, and has done what waited
#: Blows that leave the way of a single send alone.
ELSEWHERE = {
    *(Target.CHILD, Target.WORKER, Target.WORKER_ALONE, Target.FREEZE, Target.PAUSE),
    *(Target.REPORTS_CHILD, Target.REPORTS_WORKER, Target.WEBHOOKS_CHILD, Target.WEBHOOKS_WORKER),
    *(Target.PERIODIC_CHILD, Target.PERIODIC_WORKER),
}


@dataclass(frozen=True, slots=True)
class Wait:
    """Of a single send: when it was accepted (seconds since the epoch), and how long until its first call began."""

    bulk_id: str
    accepted_at: float
    seconds: float


def waits() -> list[Wait]:
    """Of single sends to other gateways, and not only once they were taken away from this one."""
    first = (
        Attempt.objects.filter(batch__campaign__kind=CampaignKind.SINGLE, batch__was_moved=False)
        .exclude(gateway=HANGING)
        .values(bulk_id=F("batch__campaign__bulk_id"), accepted=F("batch__campaign__created_at"))
        .annotate(began=Min("started_at"))
        .order_by("accepted")
    )
    return [
        Wait(row["bulk_id"], row["accepted"].timestamp(), (row["began"] - row["accepted"]).total_seconds())
        for row in first
    ]


def undisturbed(waits: Iterable[Wait], blows: Sequence[float]) -> list[Wait]:
    """Those that no blow can have hit; `blows`: when each that can began, and ended (seconds since the epoch). Pure."""
    return [
        wait
        for wait in waits
        if not any(wait.accepted_at - RECOVERED_AFTER < blow < wait.accepted_at + wait.seconds for blow in blows)
    ]


def stalled(waits: Iterable[Wait]) -> list[Finding]:
    return [
        Finding(f"single send {wait.bulk_id} waited {wait.seconds:.1f} s for its call beside a gateway that hangs")
        for wait in waits
        if wait.seconds > STALLED_AFTER
    ]


def share_within(waits: Sequence[Wait], seconds: float) -> float | None:
    """0 to 1; None of none. Pure."""
    return round(sum(wait.seconds <= seconds for wait in waits) / len(waits), 2) if waits else None
