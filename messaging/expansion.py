"""A running campaign's audience chunks become batches and messages: one chunk, one transaction.

The unique (campaign, chunk, part) of a batch stands in the transaction that stores the batch's messages, so a
chunk can be expanded again by anybody at any time without harm.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from operator import attrgetter

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from accounts.prices import PriceList
from campaigns import charging
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from campaigns.rendering import Renderer, Template
from campaigns.services import pause_for_credit, pause_for_defect, settle_status
from messaging import bulk, clock, results
from messaging.bulk import Failure, NewMessages
from messaging.choices import Lane, MessageStatus
from messaging.identity import message_number
from messaging.models import Batch, Message
from messaging.settlement import resting_state, write_statistics
from messaging.texts import Unfit, fit_text, stored_values
from messaging.turns import next_turn
from smsapp.exceptions import InsufficientCredit
from smsapp.lib.text import segment_count
from smsapp.middleware import acting_for
from smsapp.outages import is_outage
from smsapp.wake import wake
from uploads.chunks import Recipients, unpack_body

logger = logging.getLogger(__name__)

EXPANDING = (CampaignStatus.RUNNING, CampaignStatus.SCHEDULED)  # a single send is expanded before its time
LANE_OF = {CampaignKind.SINGLE: Lane.SINGLES, CampaignKind.BULK: Lane.CAMPAIGNS}
DISPATCH_TASK = {Lane.SINGLES: "messaging.dispatch_singles", Lane.CAMPAIGNS: "messaging.dispatch_campaigns"}
# SQLite's busy handler, in seconds: how often it looks for the lock, and how often once it has waited for long.
LOOKS_AGAIN, LOOKS_AGAIN_LATER, LONG_HELD = 0.03, 0.11, 0.1
SHORT_HELD = 0.04  # seconds: for as long a chunk is followed by the next without giving way


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
        with acting_for(campaign.request_id):
            done += _expand_apart(campaign, stop_at)
    return done


def _expand_apart(campaign: Campaign, stop_at: float) -> int:
    """A campaign that cannot be expanded is paused with the reason, and stops no other."""
    if not campaign.chunks_done:
        logger.info("campaign %s is made into messages", campaign.bulk_id)
    try:
        return expand_campaign(campaign, stop_at)
    except InsufficientCredit as error:
        if pause_for_credit(campaign.pk, "The rest of it costs more than the credit that is left."):
            logger.warning("campaign %s paused: %s", campaign.bulk_id, error.details)
    except Exception as error:
        if is_outage(error):
            logger.exception("campaign %s could not be expanded now", campaign.bulk_id)
            return 0
        logger.exception("campaign %s cannot be expanded", campaign.bulk_id)
        pause_for_defect(campaign.pk, "Its recipients cannot be read; an operator has to look at it.")
    return 0


def expand_campaign(campaign: Campaign, stop_at: float) -> int:
    """Expand chunk by chunk under a lease of our own; stops at `stop_at` (monotonic seconds), a pause, or the end."""
    now = clock.now()
    lease = Campaign.objects.to_expand(now).filter(pk=campaign.pk)
    if not lease.update(expansion_lease_until=now + timedelta(seconds=settings.LEASE_SECONDS)):
        return 0
    done, held = 0, 0.0
    try:
        for number in range(campaign.chunks_done, campaign.chunk_count):
            if done and time.monotonic() >= stop_at:
                wake("messaging.expand")
                break
            began = time.monotonic()
            parts = _prepare(campaign, number)
            prepared = time.monotonic()
            if not _store(campaign, number, parts):
                break
            done += 1
            held = _give_way(held + time.monotonic() - prepared, free=prepared - began)
    finally:
        Campaign.objects.filter(pk=campaign.pk).update(expansion_lease_until=None)
    return done


def expand_chunk(campaign: Campaign, number: int) -> bool:
    """Store one chunk's batches and messages; False if it was done already or the campaign may not go on."""
    return _store(campaign, number, _prepare(campaign, number))


def expand_new(campaign: Campaign) -> list[Message]:
    """Store all messages of a small campaign that the caller's transaction has stored, so that nobody else knows of it.

    Returns them as they were stored, in the order of their rows: messages of different prices are in different batches.
    """
    stored: list[Message] = []
    for number in range(campaign.chunk_count):
        made = _insert(campaign, number, _prepare(campaign, number))
        stored += [
            _stored(campaign, first, new, place) for first, new in made.items() for place in range(len(new.rows))
        ]
    return sorted(stored, key=attrgetter("row"))


def _stored(campaign: Campaign, first: int, new: NewMessages, place: int) -> Message:
    return Message(
        id=first + place, campaign=campaign, row=new.rows[place], phone_number=new.phones[place],
        status=MessageStatus.FAILED if place in new.failures else MessageStatus.QUEUED,
        segment_count=0 if place in new.failures else new.segment_counts[place],
    )  # fmt: skip


def _give_way(held: float, free: float) -> float:
    """Leave SQLite's write lock free (between chunks: `free`) for long enough that who waited for it while we `held` it
    looks again, and does not find us at the next chunk each time; how long it is held since. All in seconds."""
    if connection.vendor != "sqlite" or held < SHORT_HELD:
        return held
    time.sleep(max(0.0, (LOOKS_AGAIN if held < LONG_HELD else LOOKS_AGAIN_LATER) - free))
    return 0.0


def _prepare(campaign: Campaign, number: int) -> list[NewMessages]:
    """The messages of a chunk's batches: all of the work that needs no lock."""
    body = campaign.audience.chunks.values_list("body", flat=True).get(number=number)
    renderer = Template(campaign.message).bind(campaign.audience.columns)
    return [
        _new_messages(campaign, part, renderer, price)
        for price, recipients in _by_price(campaign, unpack_body(body))
        for part in _slices(recipients, settings.BATCH_SIZE)
    ]


def _by_price(campaign: Campaign, recipients: Recipients) -> list[tuple[int, Recipients]]:
    """What is billed at different prices goes into different batches, so that a batch's segments say what it costs."""
    if campaign.prices is None or len(different := set(campaign.prices.values())) == 1:
        return [(different.pop() if campaign.prices else 0, recipients)]
    prices = PriceList(campaign.prices)
    groups: dict[int, list[int]] = {}
    for place, phone in enumerate(recipients.phones):
        price = prices.price_of(phone[1:])
        assert price is not None  # else the campaign had not been admitted
        groups.setdefault(price, []).append(place)
    rows, phones, values = recipients
    return [
        (price, Recipients([rows[n] for n in places], [phones[n] for n in places], [values[n] for n in places]))
        for price, places in groups.items()
    ]


def _slices(recipients: Recipients, size: int) -> Iterator[Recipients]:
    for start in range(0, len(recipients.rows), size):
        end = start + size
        yield Recipients(recipients.rows[start:end], recipients.phones[start:end], recipients.values[start:end])


def _new_messages(campaign: Campaign, recipients: Recipients, renderer: Renderer, price_micro: int) -> NewMessages:
    rows, phones, values = recipients
    if renderer.is_constant:
        variables = [b""] * len(rows)
        (segments,), failures = _judge([()], renderer)
        counts, failures = [segments] * len(rows), dict.fromkeys(range(len(rows)), failures[0]) if failures else {}
    else:
        variables = stored_values(values)
        counts, failures = _judge(values, renderer)
    return NewMessages(campaign.pk, rows, phones, variables, counts, failures, price_micro)


def _judge(values: Sequence[Sequence[str]], renderer: Renderer) -> tuple[list[int], dict[int, Failure]]:
    """Segments of each row's text; by place, why the text cannot be made or be sent."""
    counts, failures = [0] * len(values), {}
    for place, row in enumerate(values):
        try:
            counts[place] = segment_count(fit_text(renderer, row))
        except Unfit as unfit:
            failures[place] = Failure(unfit.reason, unfit.detail)
    return counts, failures


def _store(campaign: Campaign, number: int, parts: Sequence[NewMessages]) -> bool:
    try:
        with transaction.atomic():
            _insert(campaign, number, parts)
    except NotOurs:
        return False
    except IntegrityError:
        if not Batch.objects.filter(campaign=campaign, chunk=number).exists():
            raise
        return False
    return True


def _insert(campaign: Campaign, number: int, parts: Sequence[NewMessages]) -> dict[int, NewMessages]:
    """In the caller's transaction; by the number of the first message of each batch. Raises NotOurs if the campaign has
    gone on, or may not go on."""
    turn = next_turn(campaign.account_id, _lane(campaign))
    now = clock.now()
    batches = Batch.objects.bulk_create(
        [_new_batch(campaign, number, part, turn + part, new, now) for part, new in enumerate(parts)]
    )
    made = {message_number(batch.pk, 0): new for batch, new in zip(batches, parts, strict=True)}
    bulk.insert_messages(made)
    unfit = {first + place: failure for first, new in made.items() for place, failure in new.failures.items()}
    results.tell_unfit(campaign.pk, unfit, now)
    write_statistics({batch.pk: batch.tally for batch in batches}, {})
    moved = Campaign.objects.filter(pk=campaign.pk, chunks_done=number, status__in=EXPANDING).update(
        chunks_done=number + 1,
        expansion_lease_until=now + timedelta(seconds=settings.LEASE_SECONDS),
        queued=F("queued") + sum(batch.queued for batch in batches),
        failed=F("failed") + sum(batch.failed for batch in batches),
    )
    if not moved:
        raise NotOurs
    charging.cover(campaign, sum(part.price_micro * sum(part.segment_counts) for part in parts))
    if number + 1 == campaign.chunk_count and not any(batch.queued for batch in batches):
        settle_status([campaign.pk], now)
    wake(DISPATCH_TASK[_lane(campaign)])
    return made


def _lane(campaign: Campaign) -> Lane:
    return LANE_OF[CampaignKind(campaign.kind)]


def _new_batch(campaign: Campaign, chunk: int, part: int, turn: int, new: NewMessages, now: datetime) -> Batch:
    batch = Batch(
        account_id=campaign.account_id,
        campaign=campaign,
        chunk=chunk,
        part=part,
        mode=campaign.mode,
        price_micro=new.price_micro,
        lane=_lane(campaign),
        turn=turn,
        size=len(new.rows),
        queued=len(new.rows) - len(new.failures),
        failed=len(new.failures),
        next_attempt_at=now,
    )
    batch.state = resting_state(batch)
    return batch
