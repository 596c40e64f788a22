"""Lifting a hold. One put on by hand is lifted at once; a restored or copied database is first compared with the
provider, in steps that any worker may take: the state is one row of `settings`.

For each batch with messages that could still be sent the provider is asked, by message id, whether it has them. What
it has is recorded as facts from a look-up, with the calls that carried them, so that neither is used again. What it
does not have is sent after the release. Where it would not or could not tell, the hold stays, unless an operator
insists. Then its log of the time that the database has forgotten is read: what nobody here knows is taken in, and what
was reported meanwhile is learned (`recovery.py`).
"""

import json
import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet, Sum

from accounts.models import Setting, User
from accounts.security import audit, sending_hold
from accounts.security.sending_hold import Hold, HoldKind
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from campaigns.scheduling.starting import miss_uncertain
from messaging.choices import AttemptState, BatchState, FactSource, MessageStatus
from messaging.gateways import registry
from messaging.gateways.base import MAX_IDS, Gateway, LookUpBy, Report
from messaging.ids import CallName, batch_range, parse_public_id, public_id, read_call_name
from messaging.models import Attempt, Batch
from messaging.outcomes import missing_reports, settlement
from messaging.outcomes.lookups import wait_after_no_answer
from messaging.restore import asking, detection, recovery
from messaging.routing.router import Router, live_gateways
from messaging.storage import message_rows
from smsapp.core import clock
from smsapp.core.budget import Budget
from smsapp.core.enqueue import enqueue
from smsapp.core.exceptions import InvalidState

logger = logging.getLogger(__name__)

KEY = "release"
DESCRIPTION = "How far the comparison with the provider is that goes before a release."
TRIES = 5  # in a row, while the provider does not tell
BATCHES_AT_ONCE = 100  # read in one step; more than its time allows to ask about
STEP_TIME = 100.0  # seconds after which a step that did not come back was killed: longer than one can take
MAX_NUMBER = 2**63 - 1

CHECKING, REFUSED = "checking", "refused"


@dataclass(frozen=True, slots=True)
class Release:
    """`after` is the last batch that is done, `until` the last that there was when the release was asked for: what is
    accepted later, under the hold, cannot have been sent, and the comparison would never end where much is. `read` are
    the gateways whose log is read, `cursor` how far the next one's is.
    Until `not_before` (seconds since the epoch) nobody takes a step: a worker is at it, or the provider is given
    time."""

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


@dataclass(frozen=True, slots=True)
class Waiting:
    """What would be sent after a release, by campaign status."""

    status: str
    campaigns: int
    messages: int


class NotTold(Exception):
    """The provider's log could not be read, or says nothing of the time in question. The text says why."""


class NotYet(Exception):
    """A batch cannot be compared at this moment, and can soon."""


def request(by: str, *, force: bool = False, check: bool = False, user: User | None = None) -> Release | None:
    """Lift the hold, or begin to: None if it is lifted. `force` releases what could not be compared as well; `check`
    compares under a hold that was put on by hand, too. `user`: the operator behind `by`, where that is known for
    certain. Raises InvalidState if nothing is held."""
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
        recovery.write(recovery.Found())
    until = Batch.objects.aggregate(last=Max("pk"))["last"] or 0
    wanted = replace(
        before or Release(by), by=by, state=CHECKING, force=force, until=until, tries=0, note="", not_before=0.0
    )
    Setting.objects.update_or_create(
        key=KEY, defaults={"value": _text(wanted), "description": DESCRIPTION, "is_fixed": True}
    )
    logger.warning("release asked for by %s", by)
    enqueue("messaging.watch")
    return wanted


def _release_at_once(held: Hold, by: str, force: bool) -> None:
    """Raises InvalidState while the providers are being asked, or are to be, after a stop."""
    if held.kind is HoldKind.OPERATOR and (waiting := asking.own_hold()):
        sending_hold.release(HoldKind.OPERATOR, waiting)
        raise InvalidState(f"The hold by hand is lifted; sending still waits. {waiting.reason} {waiting.detail}")
    sending_hold.release(HoldKind.OPERATOR)
    if held.kind is HoldKind.CHECKING and not force:
        raise InvalidState(f"{held.reason} {held.detail} To send without its answer, release by force.".strip())
    logger.warning("released by %s: %s", by, held.reason)
    detection.go_on()


def progress() -> Release | None:
    """The comparison that is under way, or that was refused."""
    return _read(Setting.objects.filter(key=KEY).values_list("value", flat=True).first() or "")


def unchecked() -> int:
    """Batches that have not been compared yet."""
    return _to_check(progress() or Release("")).count()


def waiting() -> list[Waiting]:
    """What an operator may want to cancel first."""
    rows = Campaign.objects.filter(
        status__in=(CampaignStatus.RUNNING, CampaignStatus.SCHEDULED, CampaignStatus.PAUSED), closed_at=None
    )
    sums = rows.order_by("status").values_list("status").annotate(Count("pk"), Sum("queued"))
    return [Waiting(str(CampaignStatus(status).label), count, queued or 0) for status, count, queued in sums]


def take_step() -> Release | None:
    """Compare for TASK_BUDGET seconds; the state afterwards, None if nothing is to be compared (any more)."""
    claimed = _claim()
    if claimed is None:
        return progress()
    release, written = claimed
    batches = list(_to_check(release).select_related("campaign")[:BATCHES_AT_ONCE])
    if not batches:
        return _recover_step(release, written)
    budget, wait = Budget(settings.TASK_BUDGET), timedelta(0)
    try:
        for batch in batches:
            release = _advanced(release, batch)
            written = _save(release, written)
            if release.tries:
                wait = timedelta(0) if release.force else wait_after_no_answer(batch.gateway)
            if release.tries or budget.is_over:
                break
    except NotYet as error:
        release = replace(release, note=str(error))
    if release.tries >= TRIES:
        return _give_up(release, written)
    return _put_down(release, written, wait)


def _recover_step(release: Release, written: str) -> Release | None:
    """After the comparison: what the providers have that the database does not know at all."""
    budget = Budget(settings.TASK_BUDGET)
    try:
        for name in recovery.gateways_used():
            while name not in release.read:
                tries, release = release.tries, _read_on(release, name)
                written = _save(release, written)
                if release.tries >= TRIES:
                    return _give_up(release, written)
                if release.tries > tries:
                    return _put_down(release, written, wait_after_no_answer(name))
                if budget.is_over:
                    return _put_down(release, written, timedelta(0))
    except NotYet as error:
        return _put_down(replace(release, note=str(error)), written, timedelta(0))
    _finish(release)
    return None


def _read_on(release: Release, name: str) -> Release:
    """The state after one more page of a gateway's log. One that has none, or none of that time, is noted."""
    mark, done = detection.last_mark(), replace(release, read=(*release.read, name), cursor="", note="", tries=0)
    try:
        gateway = registry.get(name)
        _require_conclusive(gateway)
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
    found = recovery.report()
    found.untold = sorted({*found.untold, f"Gateway {name}: {why}"})
    recovery.write(found)


def _advanced(release: Release, batch: Batch) -> Release:
    """The state after one batch. Where an operator insists, one that cannot be compared is passed over."""
    try:
        found = _compare(batch)
    except NotTold as error:
        release = replace(release, tries=release.tries + 1, note=str(error))
        return replace(release, after=batch.pk, skipped=release.skipped + 1) if release.force else release
    return replace(release, after=batch.pk, checked=release.checked + 1, found=release.found + found, tries=0, note="")


def _give_up(release: Release, written: str) -> Release | None:
    """The provider does not tell."""
    if release.force:
        _finish(replace(release, skipped=release.skipped + _to_check(release).count()))
        return None
    logger.error("not released, %s batches could not be compared: %s", _to_check(release).count(), release.note)
    return _put_down(replace(release, state=REFUSED), written, timedelta(0))


def _put_down(release: Release, written: str, wait: timedelta) -> Release:
    """Leave the next step to whoever comes, not before this time has passed."""
    release = replace(release, not_before=(clock.now() + wait).timestamp())
    Setting.objects.filter(key=KEY, value=written).update(value=_text(release))
    return release


def _to_check(release: Release) -> QuerySet[Batch]:
    """Batches with messages that could be sent: queued ones, and unknown ones, which may become so again."""
    unsent = Q(queued__gt=0) | Q(unknown__gt=0)
    rest = Batch.objects.filter(unsent, pk__gt=release.after, pk__lte=release.until)
    return rest.filter(campaign__closed_at=None).order_by("pk")


def _compare(batch: Batch) -> int:
    """Record what the provider has of one batch; how many messages. Raises NotTold or NotYet."""
    if batch.state == BatchState.LEASED:
        raise NotYet("A worker of before still holds a batch; its lease ends within a minute.")
    found: dict[str, list[Report]] = {}
    for gateway in _gateways_of(batch):
        _require_conclusive(gateway)
        found[gateway.name] = []
        for status in (MessageStatus.UNKNOWN, MessageStatus.QUEUED):
            for message_pks in _slices(batch, status):
                found[gateway.name] += _look_up(gateway, message_pks)
    return _record(batch, found)


def _gateways_of(batch: Batch) -> list[Gateway]:
    """All that may have some of it: in the time that the database has forgotten it may have gone from one to another.
    Raises NotTold."""
    router = Router(batch.account_id, batch.campaign.sender_id, batch.mode)
    by_routes = router.gateways_of(batch.prefix) or live_gateways()  # which led there may be forgotten, too
    names = dict.fromkeys(filter(None, [batch.gateway, *by_routes]))
    try:
        return [registry.get(name) for name in names]
    except (LookupError, ImproperlyConfigured) as error:
        raise NotTold(str(error)) from error


def _require_conclusive(gateway: Gateway) -> None:
    """Its log must know messages by our ids, and reach back to the time of our data and forward to the moment of the
    hold."""
    if gateway.policy.look_up_by is not LookUpBy.OUR_ID:
        raise NotTold(f"The provider of gateway {gateway.name} knows messages by no id of ours.")
    held, mark, now = sending_hold.current(), detection.last_mark(), clock.now()
    if held is None:
        raise NotYet("Sending was released meanwhile.")
    if mark is None or (held.since - mark.at).total_seconds() > gateway.policy.close_unknown_after:
        raise NotTold("The provider's log does not reach back to the time of this backup.")
    wait = held.since + timedelta(seconds=gateway.policy.lookup_grace) - now
    if wait > timedelta(0):
        raise NotYet(f"The provider's log may lag: it is read in {wait.total_seconds():.0f} seconds.")


def _slices(batch: Batch, status: MessageStatus) -> Iterator[list[int]]:
    message_pks = message_rows.read_message_pks(*batch_range(batch.pk), status)
    return (message_pks[start : start + MAX_IDS] for start in range(0, len(message_pks), MAX_IDS))


def _look_up(gateway: Gateway, message_pks: Sequence[int]) -> Sequence[Report]:
    time.sleep(60 / settings.RELEASE_LOOKUPS_PER_MINUTE)
    answer = gateway.look_up_messages([public_id(message_pk) for message_pk in message_pks])
    if not answer.conclusive:
        raise NotTold(answer.detail or "The provider does not tell.")
    return answer.reports


def _record(batch: Batch, found: Mapping[str, Sequence[Report]]) -> int:
    """`found`: what each gateway knows of it."""
    facts, _ = settlement.facts_from([report for reports in found.values() for report in reports], FactSource.LOOKUP)
    with transaction.atomic():
        Batch.objects.select_for_update().get(pk=batch.pk)
        _record_calls(batch, found)
        return settlement.apply(facts).changed


def _record_calls(batch: Batch, found: Mapping[str, Sequence[Report]]) -> None:
    """The calls that the database has forgotten, and as not sent those between them, so that the next call's
    reference, which counts on from here, is a new one."""
    own = CallName(batch.pk, 0, batch.account_id, batch.mode, batch.campaign.bulk_id)
    references: dict[int, str] = {}
    carried: dict[int, list[int]] = defaultdict(list)
    carriers: dict[int, str] = {}
    for gateway, report in ((gateway, report) for gateway, reports in found.items() for report in reports):
        message_pk, name = parse_public_id(report.message_id), read_call_name(report.reference)
        if message_pk is not None and name is not None and name.batch_id == batch.pk:
            carried[name.ordinal].append(message_pk)
            carriers[name.ordinal], references[name.ordinal] = gateway, report.reference
    known = Attempt.objects.filter(batch_id=batch.pk).count()
    now = clock.now()
    calls = [
        Attempt(
            batch_id=batch.pk,
            gateway=carriers.get(ordinal, next(iter(found))),
            reference=references.get(ordinal, own._replace(ordinal=ordinal).reference),
            epoch=batch.lease_epoch,
            first=min(carried.get(ordinal, [0])),
            last=max(carried.get(ordinal, [0])),
            message_count=len(carried.get(ordinal, [])),
            started_at=now,
            deadline=now,
            finished_at=now,
            state=AttemptState.RESOLVED if ordinal in carried else AttemptState.NOT_SENT,
            detail="Found at the provider after a restore." if ordinal in carried else "Not known to the provider.",
        )
        for ordinal in range(known + 1, max(carried, default=0) + 1)
    ]
    Attempt.objects.bulk_create(calls, ignore_conflicts=True)


def _finish(release: Release) -> None:
    """From here on this is the installation, as it stands. Interrupted, all of it is done again."""
    missed, recovered = miss_uncertain(clock.now(), detection.UNCERTAIN), recovery.report()
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
    Setting.objects.filter(key=KEY).delete()
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


# --- the row: who takes the next step, and how far it is ----------------------------------------------------


def _claim() -> tuple[Release, str] | None:
    """The state and its text, claimed for us; None if there is nothing to do, or somebody is at it."""
    text = Setting.objects.filter(key=KEY).values_list("value", flat=True).first() or ""
    release, now = _read(text), clock.now().timestamp()
    if release is None or release.state != CHECKING or release.not_before > now:
        return None
    release = replace(release, not_before=now + STEP_TIME)
    if not Setting.objects.filter(key=KEY, value=text).update(value=_text(release)):
        return None
    return release, _text(release)


def _save(release: Release, written: str) -> str:
    """Compare-and-set; raises NotYet if another worker, or an operator, has changed it meanwhile."""
    text = _text(release)
    if not Setting.objects.filter(key=KEY, value=written).update(value=text):
        raise NotYet("Another worker goes on with it.")
    return text


def _read(text: str) -> Release | None:
    stored: dict[str, Any] = json.loads(text) if text else {}
    return Release(**stored | {"read": tuple(stored.get("read", ()))}) if stored else None


def _text(release: Release) -> str:
    return json.dumps(asdict(release))
