"""Ends a sending hold.

A hold by hand ends at once. A restored or copied database is first compared with the provider, in steps that any worker
may take; the progress is stored.

For each batch with messages that could still be sent, the provider is asked by message id whether it has them. What it
has is recorded as facts from a look-up, with the calls that carried them, so that neither is used again. What it does
not have is sent after the release. If it would not or could not tell, the hold stays, unless an operator insists. Then
its log of the forgotten time is read: what nobody here knows is recovered, and what was reported meanwhile is applied
(`recovery.py`).
"""

import json
import logging
import time
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Max, Q, QuerySet, Sum

from accounts.models import User
from accounts.security import audit, sending_hold
from accounts.security.sending_hold import Hold, HoldKind
from accounts.system_state import Stored, SystemState, object_of
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from campaigns.scheduling.starting import miss_uncertain
from messaging.gateways import registry
from messaging.models import Batch
from messaging.outcomes import missing_reports
from messaging.outcomes.lookups import wait_after_no_answer
from messaging.restore import asking, detection, recovery
from messaging.restore.comparison import MAX_NUMBER, NotTold, NotYet, compare, require_conclusive
from smsapp.core import clock
from smsapp.core.budget import Budget
from smsapp.core.enqueue import enqueue
from smsapp.core.exceptions import InvalidState

logger = logging.getLogger(__name__)

KEY = "release"
TRIES = 5  # tries in a row while the provider does not tell
BATCHES_AT_ONCE = 100  # batches read in one step; more than its time allows to ask about
STEP_TIME = 100.0  # seconds after which a step that did not return was killed: longer than one can take

CHECKING, REFUSED = "checking", "refused"


@dataclass(frozen=True, slots=True)
class Release:
    """How far the comparison is.

    `after`: the last batch that is done. `until`: the last batch when the release was requested: what is accepted
    later, under the hold, cannot have been sent, and the comparison would never end where much is. `read`: gateways
    whose log is read; `cursor`: how far the next one's is. Until `not_before` (seconds since the epoch) nobody takes a
    step: a worker is at it, or the provider is given time.
    """

    by: str
    state: str = CHECKING
    force: bool = False
    after: int = 0
    until: int = MAX_NUMBER
    checked: int = 0
    found: int = 0
    skipped: int = 0
    tries: int = 0
    note: str = ""
    not_before: float = 0.0
    read: tuple[str, ...] = ()
    cursor: str = ""


def _load(text: str) -> Release | None:
    stored = object_of(text)
    return Release(**stored | {"read": tuple(stored.get("read", ()))}) if stored else None


PROGRESS: SystemState[Release | None] = SystemState(
    KEY,
    "How far the comparison with the provider is that goes before a release.",
    load=_load,
    dump=lambda release: json.dumps(asdict(release)) if release else "",
)
Claimed = Stored[Release | None]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What would be sent after a release, by campaign status."""

    status: str
    campaigns: int
    messages: int


def request(by: str, *, force: bool = False, check: bool = False, user: User | None = None) -> Release | None:
    """Release sending, or begin to. Return None if it is released.

    `force`: also release what could not be compared. `check`: compare under a hold by hand, too. `user`: the operator
    behind `by`, where that is known for certain. Raises InvalidState if nothing is held.
    """
    held = sending_hold.current()
    if held is None:
        raise InvalidState("Sending is not held.")
    audit.record(
        "sending.release_requested",
        account=None,
        by=user,
        target_type="setting",
        target_id=sending_hold.KEY,
        before={"by": held.by, "kind": held.kind.value, "reason": held.reason},
        after={"by": by, "force": force, "check": check},
    )
    if held.kind is not HoldKind.COPY and not check:
        _release_at_once(held, by, force)
        return None
    if held.kind is not HoldKind.COPY:
        detection.treat_as_copy(held, by)
    before = progress()
    if before is None:
        recovery.REPORT.put(recovery.Found())
    until = Batch.objects.aggregate(last=Max("pk"))["last"] or 0
    wanted = replace(
        before or Release(by), by=by, state=CHECKING, force=force, until=until, tries=0, note="", not_before=0.0
    )
    PROGRESS.put(wanted)
    logger.warning("release asked for by %s", by)
    enqueue("messaging.watch")
    return wanted


def _release_at_once(held: Hold, by: str, force: bool) -> None:
    """Release a hold. Raises InvalidState while the providers are being asked after a stop, or are to be."""
    if held.kind is HoldKind.OPERATOR and (waiting := asking.own_hold()):
        sending_hold.release(HoldKind.OPERATOR, waiting)
        raise InvalidState(f"The hold by hand is lifted; sending still waits. {waiting.reason} {waiting.detail}")
    sending_hold.release(HoldKind.OPERATOR)
    if held.kind is HoldKind.CHECKING and not force:
        raise InvalidState(f"{held.reason} {held.detail} To send without its answer, release by force.".strip())
    logger.warning("released by %s: %s", by, held.reason)
    detection.go_on()


def progress() -> Release | None:
    """Return the comparison that is under way, or that was refused."""
    return PROGRESS.get()


def unchecked() -> int:
    """Return the number of batches that are not compared yet."""
    return _to_check(progress() or Release("")).count()


def waiting() -> list[Waiting]:
    """Return what an operator may want to cancel first."""
    rows = Campaign.objects.filter(
        status__in=(CampaignStatus.RUNNING, CampaignStatus.SCHEDULED, CampaignStatus.PAUSED), closed_at=None
    )
    sums = rows.order_by("status").values_list("status").annotate(Count("pk"), Sum("queued"))
    return [Waiting(str(CampaignStatus(status).label), count, queued or 0) for status, count, queued in sums]


def take_step() -> Release | None:
    """Compare for TASK_BUDGET seconds. Return the state afterwards, None if nothing is left to compare."""
    claimed = _claim()
    if claimed is None or (release := claimed.value) is None:
        return progress()
    batches = list(_to_check(release).select_related("campaign")[:BATCHES_AT_ONCE])
    if not batches:
        return _recover_step(release, claimed)
    budget, wait = Budget(settings.TASK_BUDGET), timedelta(0)
    try:
        for batch in batches:
            release = _advanced(release, batch)
            claimed = _save(release, claimed)
            if release.tries:
                wait = timedelta(0) if release.force else wait_after_no_answer(batch.gateway)
            if release.tries or budget.is_over:
                break
    except NotYet as error:
        release = replace(release, note=str(error))
    if release.tries >= TRIES:
        return _give_up(release, claimed)
    return _put_down(release, claimed, wait)


def _recover_step(release: Release, claimed: Claimed) -> Release | None:
    """After the comparison, recover what the providers have and the database does not know at all."""
    budget = Budget(settings.TASK_BUDGET)
    try:
        for name in recovery.gateways_used():
            while name not in release.read:
                tries, release = release.tries, _read_on(release, name)
                claimed = _save(release, claimed)
                if release.tries >= TRIES:
                    return _give_up(release, claimed)
                if release.tries > tries:
                    return _put_down(release, claimed, wait_after_no_answer(name))
                if budget.is_over:
                    return _put_down(release, claimed, timedelta(0))
    except NotYet as error:
        return _put_down(replace(release, note=str(error)), claimed, timedelta(0))
    _finish(release)
    return None


def _read_on(release: Release, name: str) -> Release:
    """Return the state after one more page of a gateway's log. A log that does not cover the time is recorded."""
    mark, done = detection.last_mark(), replace(release, read=(*release.read, name), cursor="", note="", tries=0)
    try:
        gateway = registry.get(name)
        require_conclusive(gateway)
    except (LookupError, ImproperlyConfigured, NotTold) as error:
        _note_untold(name, str(error))
        return done
    assert mark is not None
    time.sleep(60 / settings.RELEASE_LOOKUPS_PER_MINUTE)
    page = gateway.read_log(mark.at - asking.SLACK, clock.now() + asking.SLACK, release.cursor)
    if page.conclusive:
        recovery.recover_messages(name, page.entries, mark.at + asking.SLACK)
        return replace(release, cursor=page.cursor, note="") if page.cursor else done
    if release.force:
        _note_untold(name, page.detail)
        return done
    return replace(release, tries=release.tries + 1, note=page.detail)


def _note_untold(name: str, why: str) -> None:
    found = recovery.REPORT.get()
    found.untold = sorted({*found.untold, f"Gateway {name}: {why}"})
    recovery.REPORT.put(found)


def _advanced(release: Release, batch: Batch) -> Release:
    """Return the state after one batch. If an operator insists, a batch that cannot be compared is skipped."""
    try:
        found = compare(batch)
    except NotTold as error:
        release = replace(release, tries=release.tries + 1, note=str(error))
        return replace(release, after=batch.pk, skipped=release.skipped + 1) if release.force else release
    return replace(release, after=batch.pk, checked=release.checked + 1, found=release.found + found, tries=0, note="")


def _give_up(release: Release, claimed: Claimed) -> Release | None:
    """Refuse the release: the provider does not tell."""
    if release.force:
        _finish(replace(release, skipped=release.skipped + _to_check(release).count()))
        return None
    logger.error("not released, %s batches could not be compared: %s", _to_check(release).count(), release.note)
    return _put_down(replace(release, state=REFUSED), claimed, timedelta(0))


def _put_down(release: Release, claimed: Claimed, wait: timedelta) -> Release:
    """Leave the next step to another worker, after `wait`."""
    release = replace(release, not_before=(clock.now() + wait).timestamp())
    PROGRESS.compare_and_set(claimed, release)
    return release


def _to_check(release: Release) -> QuerySet[Batch]:
    """Return batches with queued messages, and with unknown ones, which may become queued again."""
    unsent = Q(queued__gt=0) | Q(unknown__gt=0)
    rest = Batch.objects.filter(unsent, pk__gt=release.after, pk__lte=release.until)
    return rest.filter(campaign__closed_at=None).order_by("pk")


def _finish(release: Release) -> None:
    """Make this the installation as it stands. If interrupted, all of it is done again."""
    missed, recovered = miss_uncertain(clock.now(), detection.UNCERTAIN), recovery.REPORT.get()
    missing_reports.recheck_all()
    audit.record(
        "sending.released",
        account=None,
        by=None,
        target_type="setting",
        target_id=KEY,
        after={
            "by": release.by,
            "compared": release.checked,
            "found": release.found,
            "not_compared": release.skipped,
            "recovered": recovered.placed,
            "not_placed": recovered.unplaced_count,
            "untold": recovered.untold,
        },
    )
    detection.settle_here()
    for kind in HoldKind:
        sending_hold.release(kind)
    PROGRESS.delete()
    _enqueue_sending()
    logger.warning(
        "released by %s: %s batches compared and %s not, %s messages found at the provider, %s more taken in and %s "
        "not placed, %s campaigns were missed",
        release.by,
        release.checked,
        release.skipped,
        release.found,
        recovered.count,
        recovered.unplaced_count,
        missed,
    )


def _enqueue_sending() -> None:
    for task in ("messaging.expand", "messaging.dispatch_singles", "messaging.dispatch_campaigns"):
        enqueue(task)


def _claim() -> Claimed | None:
    """Claim the next step. Return None if there is nothing to do, or somebody else is at it."""
    stored, now = PROGRESS.read(), clock.now().timestamp()
    release = stored.value
    if release is None or release.state != CHECKING or release.not_before > now:
        return None
    return PROGRESS.compare_and_set(stored, replace(release, not_before=now + STEP_TIME))


def _save(release: Release, claimed: Claimed) -> Claimed:
    """Store the state by compare-and-set. Raises NotYet if another worker or an operator has changed it meanwhile."""
    if (saved := PROGRESS.compare_and_set(claimed, release)) is None:
        raise NotYet("Another worker goes on with it.")
    return saved
