"""A running campaign's audience chunks become batches and messages: one chunk, one transaction.

The unique (campaign, chunk, part) of a batch stands in the transaction that stores the batch's messages, so a
chunk can be expanded again by anybody at any time without harm.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import F

from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from campaigns.rendering import EmptyValue, Renderer, Template
from campaigns.services import pause_for_defect, settle_status
from messaging import bulk, clock
from messaging.bulk import NewMessage
from messaging.choices import Lane, MessageStatus, Reason
from messaging.identity import message_number
from messaging.models import Batch
from messaging.settlement import resting_state, write_statistics
from messaging.texts import stored_values
from messaging.turns import next_turn
from smsapp.lib.text import MAX_TEXT_LENGTH, segment_count
from smsapp.wake import wake
from uploads.chunks import Recipients, unpack_body

logger = logging.getLogger(__name__)

EXPANDING = (CampaignStatus.RUNNING, CampaignStatus.SCHEDULED)  # a single send is expanded before its time
LANE_OF = {CampaignKind.SINGLE: Lane.SINGLES, CampaignKind.BULK: Lane.CAMPAIGNS}
DISPATCH_TASK = {Lane.SINGLES: "messaging.dispatch_singles", Lane.CAMPAIGNS: "messaging.dispatch_campaigns"}


class NotOurs(Exception):
    """The chunk was expanded by another worker, or the campaign was paused or cancelled meanwhile."""


def expand_ready() -> int:
    """Expand running campaigns until none is left or the task's time is over; how many chunks were done."""
    stop_at = time.monotonic() + settings.TASK_BUDGET
    done = 0
    for campaign in Campaign.objects.to_expand(clock.now())[:20]:
        if time.monotonic() >= stop_at:
            wake("messaging.expand")
            break
        done += _expand_apart(campaign, stop_at)
    return done


def _expand_apart(campaign: Campaign, stop_at: float) -> int:
    """A campaign that cannot be expanded is paused with the reason, and stops no other."""
    try:
        return expand_campaign(campaign, stop_at)
    except (OperationalError, InterfaceError):
        logger.exception("campaign %s could not be expanded now", campaign.bulk_id)
    except Exception:
        logger.exception("campaign %s cannot be expanded", campaign.bulk_id)
        pause_for_defect(campaign.pk, "Its recipients cannot be read; an operator has to look at it.")
    return 0


def expand_campaign(campaign: Campaign, stop_at: float) -> int:
    """Expand chunk by chunk under a lease of our own; stops at `stop_at` (monotonic seconds), a pause, or the end."""
    now = clock.now()
    lease = Campaign.objects.to_expand(now).filter(pk=campaign.pk)
    if not lease.update(expansion_lease_until=now + timedelta(seconds=settings.LEASE_SECONDS)):
        return 0
    done = 0
    try:
        for number in range(campaign.chunks_done, campaign.chunk_count):
            if done and time.monotonic() >= stop_at:
                wake("messaging.expand")
                break
            if not expand_chunk(campaign, number):
                break
            done += 1
    finally:
        Campaign.objects.filter(pk=campaign.pk).update(expansion_lease_until=None)
    return done


def expand_chunk(campaign: Campaign, number: int) -> bool:
    """Store one chunk's batches and messages; False if it was done already or the campaign may not go on."""
    chunk = campaign.audience.chunks.get(number=number)
    renderer = Template(campaign.message).bind(campaign.audience.columns)
    recipients = unpack_body(chunk.body)
    try:
        with transaction.atomic():
            turn = _next_turn(campaign)
            now = clock.now()
            slices = list(_slices(recipients, settings.BATCH_SIZE))
            batches = Batch.objects.bulk_create(
                [
                    _new_batch(campaign, number, part, turn + part, len(recipients.rows), now)
                    for part, recipients in enumerate(slices)
                ]
            )
            tallies = {
                batch.pk: _fill(batch, campaign, recipients, renderer)
                for batch, recipients in zip(batches, slices, strict=True)
            }
            write_statistics(tallies, {})
            tally = sum(tallies.values(), Counter[str]())
            moved = Campaign.objects.filter(pk=campaign.pk, chunks_done=number, status__in=EXPANDING).update(
                chunks_done=number + 1,
                expansion_lease_until=now + timedelta(seconds=settings.LEASE_SECONDS),
                **{status: F(status) + count for status, count in tally.items()},
            )
            if not moved:
                raise NotOurs
            settle_status([campaign.pk], now)
            wake(DISPATCH_TASK[LANE_OF[CampaignKind(campaign.kind)]])
    except NotOurs:
        return False
    except IntegrityError:
        if not Batch.objects.filter(campaign=campaign, chunk=number).exists():
            raise
        return False
    return True


def _slices(recipients: Recipients, size: int) -> Iterator[Recipients]:
    for start in range(0, len(recipients.rows), size):
        end = start + size
        yield Recipients(recipients.rows[start:end], recipients.phones[start:end], recipients.values[start:end])


def _next_turn(campaign: Campaign) -> int:
    return next_turn(campaign.account_id, LANE_OF[CampaignKind(campaign.kind)])


def _new_batch(campaign: Campaign, chunk: int, part: int, turn: int, size: int, now: datetime) -> Batch:
    return Batch(
        account_id=campaign.account_id,
        campaign=campaign,
        chunk=chunk,
        part=part,
        mode=campaign.mode,
        lane=LANE_OF[CampaignKind(campaign.kind)],
        turn=turn,
        size=size,
        next_attempt_at=now,
    )


def _fill(batch: Batch, campaign: Campaign, recipients: Recipients, renderer: Renderer) -> Counter[str]:
    """Store the messages of a new batch and write its tally."""
    first = message_number(batch.pk, 0)
    messages = [
        _new_message(number, campaign, row, phone, values, renderer)
        for number, (row, phone, values) in enumerate(zip(*recipients, strict=True), first)
    ]
    bulk.insert_messages(messages)
    tally = Counter(MessageStatus(message.status).label for message in messages)
    for status, count in tally.items():
        setattr(batch, status, count)
    batch.state = resting_state(batch)
    batch.save(update_fields=["state", *tally])
    return tally


def _new_message(
    number: int, campaign: Campaign, row: int, phone: str, values: Sequence[str], renderer: Renderer
) -> NewMessage:
    """A row whose text cannot be made is stored as failed, with the reason."""
    status, reason, detail, segments = MessageStatus.QUEUED, Reason.NONE, "", 0
    try:
        text = renderer.render(values)
        if not text.strip():
            status, reason = MessageStatus.FAILED, Reason.EMPTY_TEXT
        elif len(text) > MAX_TEXT_LENGTH:
            status, reason, detail = MessageStatus.FAILED, Reason.TEXT_TOO_LONG, str(len(text))
        else:
            segments = segment_count(text)
    except EmptyValue as missing:
        status, reason, detail = MessageStatus.FAILED, Reason.MISSING_VALUE, missing.name[:120]
    variables = "" if renderer.is_constant else stored_values(values)
    return NewMessage(number, campaign.pk, row, phone, variables, status, reason, detail, segments)
