"""2. open: attempts are committed before their calls.

The campaign runs, the epoch is ours, opt-outs and validity are checked, the texts are rendered.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts.choices import Mode
from campaigns.models import Campaign
from messaging import bulk, clock, gateways, pacing, settlement
from messaging.bulk import QueuedMessage
from messaging.calls import Call
from messaging.choices import ATTEMPT, Actor, AttemptState, BatchState, MessageStatus, Reason
from messaging.gateways.base import Gateway, OutgoingMessage, Submission
from messaging.identity import batch_range, installation_prefix, public_id
from messaging.inbox import report_url
from messaging.leases import lease_end, lock, release
from messaging.models import Attempt, Batch
from messaging.pace import Grant
from messaging.texts import renderer_for
from uploads.suppressions import suppressed_among


def open_attempts(batches: Sequence[Batch]) -> list[Call]:
    """Commit an attempt for the next slice of each of these leased batches of one campaign, as large as the gateway's
    pace allows. A batch that has none, or may not leave now, is given back."""
    gateway = gateways.gateway_for(Mode(batches[0].mode))
    grants = {batch.pk: pacing.take(gateway.name, _wanted(batch, gateway)) for batch in batches}
    calls: list[Call] = []
    try:
        _put_off([batch for batch in batches if not grants[batch.pk]], grants)
        if granted := [batch for batch in batches if grants[batch.pk]]:
            calls = _open(granted, gateway, grants)
    finally:
        for pk in grants.keys() - {call.batch.pk for call in calls}:
            pacing.tell(gateway.name, grants[pk], pacing.Outcome.UNUSED)
    return calls


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
        rows = _sendable(batches, campaign, now, grants)
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
                validity=_seconds_until(campaign.valid_until, now),
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
    batches: Sequence[Batch], campaign: Campaign, now: datetime, grants: Mapping[int, Grant]
) -> dict[int, list[QueuedMessage]]:
    """By batch, as many of its queued rows as were granted; those that may not leave any more are closed here."""
    if campaign.valid_until is not None and campaign.valid_until <= now:
        late = [n for batch in batches for n in bulk.read_numbers(*batch_range(batch.pk), MessageStatus.QUEUED)]
        settlement.control(late, MessageStatus.EXPIRED, Reason.TOO_LATE)
        return {batch.pk: [] for batch in batches}
    rows = {batch.pk: bulk.read_queued(*batch_range(batch.pk), grants[batch.pk].granted) for batch in batches}
    opted_out = suppressed_among(campaign.account, [row.phone_number for some in rows.values() for row in some])
    if opted_out:
        stopped = [row.id for some in rows.values() for row in some if row.phone_number in opted_out]
        settlement.control(stopped, MessageStatus.SUPPRESSED, Reason.OPTED_OUT)
        rows = {pk: [row for row in some if row.phone_number not in opted_out] for pk, some in rows.items()}
    return rows


def _render(campaign: Campaign, rows: Sequence[QueuedMessage]) -> list[OutgoingMessage]:
    render = renderer_for(campaign)
    return [OutgoingMessage(public_id(row.id), row.phone_number, render(row.variables)) for row in rows]


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
