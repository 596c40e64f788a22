"""2. open: attempts are committed before their calls.

The campaign runs, the epoch is ours, opt-outs and validity are checked, the texts are rendered.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from campaigns.links import filled
from campaigns.models import Campaign
from campaigns.quiet_hours import quiet_of
from messaging import bulk, clock, gateways, guard, pacing, settlement
from messaging.bulk import QueuedMessage
from messaging.calls import Call
from messaging.choices import ATTEMPT, Actor, AttemptState, BatchState, MessageStatus, Reason
from messaging.gateways.base import Gateway, LookUpBy, OutgoingMessage, Submission
from messaging.identity import MAX_IN_BATCH, batch_range, installation_prefix, public_id
from messaging.inbox import report_url
from messaging.leases import lease_end, lock, release
from messaging.models import Attempt, Batch
from messaging.pace import Grant
from messaging.rates import own_rates
from messaging.routing import Router
from messaging.texts import renderer_for
from uploads.suppressions import suppressed_among

WITHOUT_GATEWAY = 5.0  # seconds until a batch that no gateway takes is looked at again


def open_attempts(batches: Sequence[Batch]) -> list[Call]:
    """Commit an attempt for the next slice of each of these leased batches of one campaign and gateway, as large as the
    pace allows. A batch that has none, or may not leave now, is given back."""
    gateway = _gateway_of(batches[0])
    if gateway is None:
        _put_off(batches, {batch.pk: Grant(0, 0.0, WITHOUT_GATEWAY) for batch in batches})
        return []
    grants = {batch.pk: _take(batch, gateway) for batch in batches}
    calls: list[Call] = []
    try:
        _put_off([batch for batch in batches if not grants[batch.pk]], grants)
        if granted := [batch for batch in batches if grants[batch.pk]]:
            calls = _open(granted, gateway, grants)
    finally:
        for pk in grants.keys() - {call.batch.pk for call in calls}:
            pacing.tell(gateway.name, grants[pk], pacing.Outcome.UNUSED)
    return calls


def _gateway_of(batch: Batch) -> Gateway | None:
    if batch.gateway:
        return gateways.get(batch.gateway)
    choice = Router(batch.account_id, batch.campaign.sender_id, batch.mode).choose(batch.prefix)
    return gateways.get(choice.gateway) if choice else None


def _take(batch: Batch, gateway: Gateway) -> Grant:
    """Room with the gateway for as many as account and sender have room for."""
    wanted = _wanted(batch, gateway)
    for name, rate in own_rates(batch.campaign):
        own = pacing.take_within(name, rate, wanted)
        if not own:
            return own
        wanted = min(wanted, own.granted)
    return pacing.take(gateway.name, wanted)


def _wanted(batch: Batch, gateway: Gateway) -> int:
    return min(batch.call_size, gateway.policy.max_batch, max(1, batch.queued))


def _put_off(batches: Sequence[Batch], grants: Mapping[int, Grant]) -> None:
    """Until the gateway may be called again. No try is used up."""
    for batch in batches:
        with transaction.atomic():
            lock([batch])
            now = clock.now()
            release([batch], now, next_attempt_at=now + timedelta(seconds=grants[batch.pk].wait))


def _open(batches: Sequence[Batch], gateway: Gateway, grants: Mapping[int, Grant]) -> list[Call]:
    """The monotonic clock is read before the database's, so that the time left is never overestimated."""
    started = time.monotonic()
    campaign = batches[0].campaign
    with transaction.atomic():
        may_send = bulk.share_running(campaign.pk)
        now = clock.now()
        batches = _still_ours(batches, now)
        if not may_send:
            release(batches, now)
            return []
        earlier = _earlier_attempts(batches)
        _close_unused(batches, earlier, now)
        rows = _sendable(batches, campaign, gateway, now, grants)
        quiet = _in_quiet_hours(campaign, rows, now)
        for pk, until in quiet.items():
            rows[pk] = []
            release([batch for batch in batches if batch.pk == pk], now, next_attempt_at=until)
        batches = [batch for batch in batches if batch.pk not in quiet]
        release([batch for batch in batches if not rows[batch.pk]], now)
        opened = [batch for batch in batches if rows[batch.pk]]
        messages = {batch.pk: _render(campaign, rows[batch.pk]) for batch in opened}
        attempts = Attempt.objects.bulk_create(
            [_new_attempt(batch, gateway, rows[batch.pk], len(earlier[batch.pk]) + 1, now) for batch in opened]
        )
        unnamed = [batch.pk for batch in opened if not batch.gateway]
        if unnamed:
            Batch.objects.filter(pk__in=unnamed).update(gateway=gateway.name)
    return [
        Call(
            grants[batch.pk],
            attempt,
            batch,
            gateway,
            Submission(
                reference=attempt.reference,
                messages=messages[batch.pk],
                sender=campaign.sender_id,
                report_url=report_url(gateway.name),
                validity=_seconds_until(campaign.valid_until, now) or _usual_validity(gateway),
                begin_before=started + _time_left(batch, now),
            ),
            [row.id for row in rows[batch.pk]],
        )
        for batch, attempt in zip(opened, attempts, strict=True)
    ]


def _time_left(batch: Batch, now: datetime) -> float:
    """Seconds in which a call may begin, so that it ends before its lease."""
    return float((lease_end(batch) - now).total_seconds() - settings.GATEWAY_TIMEOUT - settings.LEASE_MARGIN)


def _still_ours(batches: Sequence[Batch], now: datetime) -> list[Batch]:
    """Lock the batches; those whose lease is the one we took."""
    leased = Batch.objects.filter(
        pk__in=[batch.pk for batch in batches], state=BatchState.LEASED, lease_until__gt=now
    ).order_by("pk").select_for_update()  # fmt: skip
    epochs = dict(leased.values_list("pk", "lease_epoch"))
    return [batch for batch in batches if epochs.get(batch.pk) == batch.lease_epoch]


def _earlier_attempts(batches: Sequence[Batch]) -> dict[int, list[tuple[int, str, int]]]:
    """Key, state and epoch of each attempt there was, by batch."""
    earlier: dict[int, list[tuple[int, str, int]]] = {batch.pk: [] for batch in batches}
    made = Attempt.objects.filter(batch_id__in=earlier).values_list("batch_id", "pk", "state", "epoch")
    for batch_id, pk, state, epoch in made:
        earlier[batch_id].append((pk, state, epoch))
    return earlier


def _close_unused(
    batches: Sequence[Batch], earlier: Mapping[int, Sequence[tuple[int, str, int]]], now: datetime
) -> None:
    """An attempt of this very lease that is open was committed, and we were not told so: no call was made of it."""
    sources = ATTEMPT.sources(AttemptState.NOT_SENT, Actor.WORKER)
    unused = [
        pk
        for batch in batches
        for pk, state, epoch in earlier[batch.pk]
        if epoch == batch.lease_epoch and state in sources
    ]
    if unused:
        closed = Attempt.objects.filter(pk__in=unused, state__in=sources)
        closed.update(state=AttemptState.NOT_SENT, finished_at=now, detail="It was committed twice; no call was made.")


def _sendable(
    batches: Sequence[Batch], campaign: Campaign, gateway: Gateway, now: datetime, grants: Mapping[int, Grant]
) -> dict[int, list[QueuedMessage]]:
    """By batch, as many of its queued rows as were granted; those that may not leave any more are closed here."""
    if campaign.valid_until is not None and campaign.valid_until <= now:
        late = [n for batch in batches for n in bulk.read_numbers(*batch_range(batch.pk), MessageStatus.QUEUED)]
        settlement.control(late, MessageStatus.EXPIRED, Reason.TOO_LATE)
        return {batch.pk: [] for batch in batches}
    rows = {batch.pk: _queued(batch, gateway, grants[batch.pk].granted) for batch in batches}
    phones = [row.phone_number for some in rows.values() for row in some]
    opted_out = set() if campaign.confirms_opt_out else suppressed_among(campaign.account, phones)
    if opted_out:
        stopped = [row.id for some in rows.values() for row in some if row.phone_number in opted_out]
        settlement.control(stopped, MessageStatus.SUPPRESSED, Reason.OPTED_OUT)
        rows = {pk: [row for row in some if row.phone_number not in opted_out] for pk, some in rows.items()}
    if often := set(guard.over_limit(campaign.account, rows, now)):
        settlement.control(often, MessageStatus.SUPPRESSED, Reason.TOO_OFTEN)
        rows = {pk: [row for row in some if row.id not in often] for pk, some in rows.items()}
    return rows


def _in_quiet_hours(
    campaign: Campaign, rows: Mapping[int, Sequence[QueuedMessage]], now: datetime
) -> dict[int, datetime]:
    """Batches that were held up until after their time, and when that comes again. Expansion put together only what may
    be sent at the same times."""
    quiet = quiet_of(campaign)
    if quiet.is_none:
        return {}
    found = {pk: quiet.until(some[0].phone_number, now) for pk, some in rows.items() if some}
    return {pk: until for pk, until in found.items() if until is not None}


def _queued(batch: Batch, gateway: Gateway, limit: int) -> list[QueuedMessage]:
    """The next rows for a call, without those that came back from a lost call of another gateway's because it does not
    know them: whether it has them after all only it can say, and if no others are left the batch goes back to it. None
    of these is spanned by the call either, or what becomes of it would be taken for theirs.
    """
    if not batch.was_moved:
        return bulk.read_queued(*batch_range(batch.pk), limit)
    rows = bulk.read_queued(*batch_range(batch.pk), MAX_IN_BATCH)
    doubted = batch.attempts.exclude(state__in=(AttemptState.ANSWERED, AttemptState.NOT_SENT))
    elsewhere = doubted.exclude(gateway=gateway.name).values_list("first", "last", "gateway")
    slices = [(first, last, name) for first, last, name in elsewhere if _sends_again(name)]
    holders = [next((name for first, last, name in slices if first <= row.id <= last), "") for row in rows]
    free = [place for place, holder in enumerate(holders) if not holder]
    if rows and not free:
        note = "Its gateway may have what is left: nobody else gets it."
        Batch.objects.filter(pk=batch.pk).update(gateway=holders[0], is_pinned=True, route_note=note)
    if not free:
        return []
    end = next((place for place in range(free[0], len(rows)) if holders[place]), len(rows))
    return rows[free[0] : min(end, free[0] + limit)]


def _sends_again(gateway: str) -> bool:
    """Whether what it does not know of a lost call may be queued again. Of others, what is queued was never in doubt:
    it was held back for certain, beside messages that were lost."""
    return gateway not in gateways.known() or gateways.policy_of(gateway).look_up_by is LookUpBy.OUR_ID


def _render(campaign: Campaign, rows: Sequence[QueuedMessage]) -> list[OutgoingMessage]:
    render, account_id = renderer_for(campaign), campaign.account_id
    return [
        OutgoingMessage(
            public_id(row.id), row.phone_number, filled(render(row.variables), account_id, row.phone_number)
        )
        for row in rows
    ]  # fmt: skip


def _new_attempt(batch: Batch, gateway: Gateway, rows: Sequence[QueuedMessage], number: int, now: datetime) -> Attempt:
    return Attempt(
        batch=batch,
        gateway=gateway.name,
        reference=f"{installation_prefix()}-{batch.pk}-{number}",
        epoch=batch.lease_epoch,
        first=rows[0].id,
        last=rows[-1].id,
        message_count=len(rows),
        started_at=now,
        deadline=lease_end(batch),
    )


def _seconds_until(moment: datetime | None, now: datetime) -> int | None:
    return max(60, int((moment - now).total_seconds())) if moment else None


def _usual_validity(gateway: Gateway) -> int | None:
    setup = gateways.setup_of(gateway.name)
    return setup.validity if setup else None
