"""Step 2, prepare: attempts are committed before their calls.

The campaign runs, the epoch is ours, opt-outs and validity are checked, the texts are rendered.
"""

import time
from bisect import bisect
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from campaigns.models import Campaign
from campaigns.scheduling.quiet_hours import quiet_of
from messaging.choices import ATTEMPT, Actor, AttemptState, BatchState, Lane, MessageStatus, Reason
from messaging.gateways import registry
from messaging.gateways.base import Gateway, LookUpBy, OutgoingMessage, Submission
from messaging.ids import MAX_IN_BATCH, CallName, batch_range, public_id
from messaging.message_text import renderer_for
from messaging.models import Attempt, Batch
from messaging.outcomes import settlement
from messaging.outcomes.report_inbox import report_url
from messaging.routing import sender_rates, throttle
from messaging.routing.throttle_state import Grant
from messaging.sending import restrictions
from messaging.sending.capacity import in_one_call
from messaging.sending.leases import give_up, lease_end, lock
from messaging.sending.submit import Call
from messaging.storage import message_rows
from messaging.storage.message_rows import QueuedMessage
from smsapp.core import clock
from uploads.suppressions import suppressed_among

LEAST_VALIDITY = timedelta(seconds=1)  # providers accept whole seconds


def open_attempts(batches: Sequence[Batch]) -> list[Call]:
    """Commit an attempt for the next slice of each leased batch of one campaign and gateway.

    A slice is as large as the throttle allows. A batch that gets none, or may not leave now, is given up.
    """
    gateway = registry.get(batches[0].gateway)
    wanted = {batch.pk: in_one_call(batch, gateway.policy) for batch in batches}
    yields = batches[0].lane == Lane.CAMPAIGNS
    grants = {
        pk: sender_rates.take(batches[0].campaign, gateway.name, count, yields=yields) for pk, count in wanted.items()
    }
    calls: list[Call] = []
    try:
        if denied := [batch for batch in batches if not grants[batch.pk]]:
            _put_off(denied, max(grants[batch.pk].wait for batch in denied))
        if granted := [batch for batch in batches if grants[batch.pk]]:
            calls = _open(granted, gateway, grants)
    finally:
        _give_back(gateway.name, grants, {call.batch.pk: len(call.message_pks) for call in calls})
    return calls


def _put_off(batches: Sequence[Batch], wait: float) -> None:
    """Defer batches for `wait` seconds, until gateway, account and sender have capacity. No retry is used up."""
    with transaction.atomic():
        lock(batches)
        now = clock.now()
        give_up(batches, now, next_attempt_at=now + timedelta(seconds=wait))


def _give_back(gateway: str, grants: Mapping[int, Grant], used: Mapping[int, int]) -> None:
    """Return capacity that was granted for more messages than leave. `used`: messages that leave, by batch."""
    for pk, grant in grants.items():
        if grant and pk not in used:
            throttle.report_outcome(gateway, grant, throttle.Outcome.UNUSED)
        for name in grant.own if pk not in used else (gateway, *grant.own):
            throttle.give_back(name, grant.granted - used.get(pk, 0))


def _open(batches: Sequence[Batch], gateway: Gateway, grants: Mapping[int, Grant]) -> list[Call]:
    """Commit the attempts. The monotonic clock is read before the database's, so time is never overestimated."""
    started = time.monotonic()
    campaign = batches[0].campaign
    with transaction.atomic():
        may_send = message_rows.share_running(campaign.pk)
        now = clock.now()
        batches = _still_ours(batches, now)
        if not may_send:
            give_up(batches, now)
            return []
        earlier = _earlier_attempts(batches)
        _close_unused(batches, earlier, now)
        rows = _sendable(batches, campaign, gateway, now, grants)
        quiet = _in_quiet_hours(campaign, rows, now)
        for pk, until in quiet.items():
            rows[pk] = []
            give_up([batch for batch in batches if batch.pk == pk], now, next_attempt_at=until)
        batches = [batch for batch in batches if batch.pk not in quiet]
        give_up([batch for batch in batches if not rows[batch.pk]], now)
        opened = [batch for batch in batches if rows[batch.pk]]
        messages = {batch.pk: _render(campaign, rows[batch.pk]) for batch in opened}
        attempts = Attempt.objects.bulk_create(
            [_new_attempt(batch, gateway, rows[batch.pk], len(earlier[batch.pk]) + 1, now) for batch in opened]
        )
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
                begin_before=started + _time_left(batch, campaign, now),
            ),
            [row.id for row in rows[batch.pk]],
        )
        for batch, attempt in zip(opened, attempts, strict=True)
    ]


def _time_left(batch: Batch, campaign: Campaign, now: datetime) -> float:
    """Return the seconds within which a call may begin to end before its lease and begin while messages are valid."""
    until_lease_ends = (lease_end(batch) - now).total_seconds() - settings.GATEWAY_TIMEOUT - settings.LEASE_MARGIN
    valid_for = (campaign.valid_until - now).total_seconds() if campaign.valid_until else until_lease_ends
    return float(min(until_lease_ends, valid_for))


def _still_ours(batches: Sequence[Batch], now: datetime) -> list[Batch]:
    """Lock the batches. Return those whose lease is still the one we took."""
    leased = (
        Batch.objects.filter(pk__in=[batch.pk for batch in batches], state=BatchState.LEASED, lease_until__gt=now)
        .order_by("pk")
        .select_for_update()
    )
    epochs = dict(leased.values_list("pk", "lease_epoch"))
    return [batch for batch in batches if epochs.get(batch.pk) == batch.lease_epoch]


def _earlier_attempts(batches: Sequence[Batch]) -> dict[int, list[tuple[int, str, int]]]:
    """Return key, state and epoch of every earlier attempt, by batch."""
    earlier: dict[int, list[tuple[int, str, int]]] = {batch.pk: [] for batch in batches}
    made = Attempt.objects.filter(batch_id__in=earlier).values_list("batch_id", "pk", "state", "epoch")
    for batch_id, pk, state, epoch in made:
        earlier[batch_id].append((pk, state, epoch))
    return earlier


def _close_unused(
    batches: Sequence[Batch], earlier: Mapping[int, Sequence[tuple[int, str, int]]], now: datetime
) -> None:
    """Close open attempts of this very lease: their commit was not confirmed to us, so no call was made."""
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
    """Return, by batch, as many queued rows as were granted, and close those that may no longer leave."""
    if campaign.valid_until is not None and campaign.valid_until < now + LEAST_VALIDITY:
        late = [
            n for batch in batches for n in message_rows.read_message_pks(*batch_range(batch.pk), MessageStatus.QUEUED)
        ]
        settlement.control(late, MessageStatus.EXPIRED, Reason.TOO_LATE)
        return {batch.pk: [] for batch in batches}
    rows = {batch.pk: _queued(batch, gateway, grants[batch.pk].granted) for batch in batches}
    phones = [row.phone_number for some in rows.values() for row in some]
    opted_out = set() if campaign.confirms_opt_out else suppressed_among(campaign.account, phones)
    if opted_out:
        stopped = [row.id for some in rows.values() for row in some if row.phone_number in opted_out]
        settlement.control(stopped, MessageStatus.SUPPRESSED, Reason.OPTED_OUT)
        rows = {pk: [row for row in some if row.phone_number not in opted_out] for pk, some in rows.items()}
    if often := set(restrictions.over_limit(campaign.account, rows, now)):
        settlement.control(often, MessageStatus.SUPPRESSED, Reason.TOO_OFTEN)
        rows = {pk: [row for row in some if row.id not in often] for pk, some in rows.items()}
    return rows


def _in_quiet_hours(
    campaign: Campaign, rows: Mapping[int, Sequence[QueuedMessage]], now: datetime
) -> dict[int, datetime]:
    """Return batches whose quiet hours have begun again, and when these end.

    Expansion batches only recipients whose quiet hours are the same.
    """
    quiet = quiet_of(campaign)
    if quiet.is_none:
        return {}
    found = {pk: quiet.until(some[0].phone_number, now) for pk, some in rows.items() if some}
    return {pk: until for pk, until in found.items() if until is not None}


def _queued(batch: Batch, gateway: Gateway, limit: int) -> list[QueuedMessage]:
    """Return the next rows to submit to this gateway, at most `limit`.

    A call's outcome applies to its whole range. So the range never spans a row whose outcome is unknown, nor one that
    another gateway may have: only that gateway can tell. If nothing else is left, the batch is pinned to that gateway.
    """
    if not batch.was_moved and not batch.unknown:
        return message_rows.read_queued(*batch_range(batch.pk), limit)
    rows = message_rows.read_queued(*batch_range(batch.pk), MAX_IN_BATCH)
    holders = _holders(batch, gateway, rows) if batch.was_moved else {}
    free = [row for row in rows if row.id not in holders]
    if rows and not free:
        note = "Its gateway may have what is left: nobody else gets it."
        Batch.objects.filter(pk=batch.pk).update(gateway=holders[rows[0].id], is_pinned=True, route_note=note)
    if not free:
        return []
    barriers = sorted([*holders, *message_rows.read_message_pks(*batch_range(batch.pk), MessageStatus.UNKNOWN)])
    end = bisect(barriers, free[0].id)
    return [row for row in free if end == len(barriers) or row.id < barriers[end]][:limit]


def _holders(batch: Batch, gateway: Gateway, rows: Sequence[QueuedMessage]) -> dict[int, str]:
    """Return, by message key, the other gateway that lost the call a row came back from and may not know it yet."""
    doubted = batch.attempts.exclude(state__in=(AttemptState.ANSWERED, AttemptState.NOT_SENT))
    elsewhere = doubted.exclude(gateway=gateway.name).values_list("first", "last", "gateway")
    slices = [(first, last, name) for first, last, name in elsewhere if _sends_again(name)]
    found = ((row.id, next((name for first, last, name in slices if first <= row.id <= last), "")) for row in rows)
    return {number: name for number, name in found if name}


def _sends_again(gateway: str) -> bool:
    """Return whether messages of a lost call that this gateway does not know may be queued again.

    With other gateways, queued messages beside lost ones were never in doubt: they were not sent, for certain.
    """
    return gateway not in registry.known() or registry.policy_of(gateway).look_up_by is LookUpBy.OUR_ID


def _render(campaign: Campaign, rows: Sequence[QueuedMessage]) -> list[OutgoingMessage]:
    render = renderer_for(campaign)
    return [
        OutgoingMessage(public_id(row.id), row.phone_number, render(row.variables, row.phone_number)) for row in rows
    ]


def _new_attempt(batch: Batch, gateway: Gateway, rows: Sequence[QueuedMessage], number: int, now: datetime) -> Attempt:
    return Attempt(
        batch=batch,
        gateway=gateway.name,
        reference=CallName(batch.pk, number, batch.account_id, batch.mode, batch.campaign.bulk_id).reference,
        epoch=batch.lease_epoch,
        first=rows[0].id,
        last=rows[-1].id,
        message_count=len(rows),
        started_at=now,
        deadline=lease_end(batch),
    )


def _seconds_until(moment: datetime | None, now: datetime) -> int | None:
    return int((moment - now).total_seconds()) if moment else None


def _usual_validity(gateway: Gateway) -> int | None:
    setup = registry.setup_of(gateway.name)
    return setup.validity if setup else None
