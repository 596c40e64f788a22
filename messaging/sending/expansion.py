"""A running campaign's audience chunks become batches and messages: one chunk, one transaction.

A batch is unique by (campaign, chunk, part), and is stored in the transaction that stores its messages, so anybody can
expand a chunk again at any time without harm.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Sum
from django.utils.translation import gettext_noop

from accounts.billing.prices import PriceList
from accounts.choices import Mode
from campaigns import pricing
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from campaigns.scheduling.quiet_hours import Locality, quiet_of
from campaigns.services import store_campaign
from campaigns.texts.renderers import renderer_of
from campaigns.texts.rendering import Renderer
from campaigns.transitions import pause_for_credit, pause_for_defect, settle_status
from messaging.choices import BatchState, Lane, MessageStatus, Reason
from messaging.ids import make_message_pk
from messaging.message_text import Unfit, fit_text, stored_values
from messaging.models import Batch, Message
from messaging.outcomes import webhook_events
from messaging.outcomes.settlement import resting_state, write_statistics
from messaging.restore import asking
from messaging.routing.router import Choice, Router
from messaging.sending import canary, restrictions, unrouted
from messaging.sending.fair_queue import next_turn
from messaging.storage import message_rows
from messaging.storage.message_rows import Failure, NewMessages
from smsapp.core import clock
from smsapp.core.budget import Budget
from smsapp.core.context import acting_for
from smsapp.core.enqueue import enqueue
from smsapp.core.exceptions import InsufficientCredit
from smsapp.database.errors import is_outage
from smsapp.database.prepared_insert import Inserts
from smsapp.lib.sentences import Sentence
from smsapp.lib.text import segment_count
from uploads.chunks import Recipients, unpack_body

logger = logging.getLogger(__name__)

_insert_batch_rows = Inserts(Batch)

BLOCKED = "-"  # instead of a prefix: a country the account may not send to
LANE_OF = {CampaignKind.SINGLE: Lane.SINGLES, CampaignKind.BULK: Lane.CAMPAIGNS}
DISPATCH_TASK = {Lane.SINGLES: "messaging.dispatch_singles", Lane.CAMPAIGNS: "messaging.dispatch_campaigns"}
# SQLite's busy handler, in seconds: how often it polls for the lock, and how often after a long wait.
LOOKS_AGAIN, LOOKS_AGAIN_LATER, LONG_HELD = 0.03, 0.11, 0.1
SHORT_HELD = 0.04  # seconds for which chunks follow one another without giving way


class Group(NamedTuple):
    """What the messages of a batch have in common.

    `price_micro`: of a segment, in millionths. `locality`: where quiet hours are the same; None where there are none.
    `release_at`: when these end; None if they are not on now.
    """

    price_micro: int
    prefix: str
    locality: Locality | None = None
    release_at: datetime | None = None


class Part(NamedTuple):
    """A batch that is not stored yet."""

    group: Group
    new: NewMessages
    choice: Choice
    waits: bool  # of the first recipients of a canary

    @property
    def failed(self) -> int:
        return len(self.new.failures)

    @property
    def queued(self) -> int:
        return len(self.new.rows) - self.failed


class NotOurs(Exception):
    """Another worker has expanded the chunk, or the campaign was paused or cancelled meanwhile."""


def expand_ready() -> int:
    """Expand running campaigns until none is left or the budget is over. Return the number of chunks."""
    if asking.is_open():  # messages made now would get other ids than those that may have been sent before the restore
        return 0
    budget = Budget(settings.TASK_BUDGET)
    done = 0
    for campaign in Campaign.objects.to_expand(clock.now())[:20]:
        if budget.is_over:
            enqueue("messaging.expand")
            break
        with acting_for(campaign.request_id):
            done += _expand_apart(campaign, budget)
    return done


def _expand_apart(campaign: Campaign, budget: Budget) -> int:
    """Expand one campaign. If it cannot be expanded, pause it with the reason; the others go on."""
    if not campaign.chunks_done:
        logger.info("campaign %s is made into messages", campaign.bulk_id)
    try:
        return expand_campaign(campaign, budget)
    except NotOurs:
        return 0
    except InsufficientCredit as error:
        if pause_for_credit(
            campaign.pk, Sentence(gettext_noop("The rest of it costs more than the credit that is left."))
        ):
            logger.warning("campaign %s paused: %s", campaign.bulk_id, error.details)
    except Exception as error:
        if is_outage(error):
            logger.exception("campaign %s could not be expanded now", campaign.bulk_id)
            return 0
        logger.exception("campaign %s cannot be expanded", campaign.bulk_id)
        pause_for_defect(
            campaign.pk, Sentence(gettext_noop("Its recipients cannot be read; an operator has to look at it."))
        )
    return 0


def _require_no_row(campaign: Campaign, phones: Sequence[str]) -> None:
    """Stop a guarded account's campaign at the first chunk if its numbers are consecutive. Raises NotOurs."""
    if campaign.mode == Mode.LIVE and not restrictions.watch_audience(campaign.account, phones):
        pause_for_defect(campaign.pk, restrictions.CONSECUTIVE)
        raise NotOurs


def expand_campaign(campaign: Campaign, budget: Budget) -> int:
    """Expand chunk by chunk under a lease of our own, until the budget is over, a pause, or the end."""
    now = clock.now()
    lease = Campaign.objects.to_expand(now).filter(pk=campaign.pk)
    if not lease.update(expansion_lease_until=now + timedelta(seconds=settings.LEASE_SECONDS)):
        return 0
    done, held = 0, 0.0
    try:
        for chunk_number in range(campaign.chunks_done, campaign.chunk_count):
            if done and budget.is_over:
                enqueue("messaging.expand")
                break
            began = time.monotonic()
            parts = _prepare(campaign, chunk_number)
            prepared = time.monotonic()
            if not _store(campaign, chunk_number, parts):
                break
            done += 1
            held = _give_way(held + time.monotonic() - prepared, free=prepared - began)
    finally:
        Campaign.objects.filter(pk=campaign.pk).update(expansion_lease_until=None)
    return done


def expand_chunk(campaign: Campaign, chunk_number: int) -> bool:
    """Store the batches and messages of one chunk. Return False if that was done or the campaign may not go on."""
    return _store(campaign, chunk_number, _prepare(campaign, chunk_number))


def store_expanded(campaign: Campaign, recipients: Recipients) -> list[Message]:
    """Store an admitted campaign of one chunk with all its messages, in the caller's transaction.

    Nobody ever sees the campaign without its messages. Returns them as stored, in the order of their rows; they may be
    in several batches.
    """
    parts = _parts(campaign, recipients)
    campaign.chunks_done = 1
    campaign.queued, campaign.failed = sum(part.queued for part in parts), sum(part.failed for part in parts)
    store_campaign(campaign)
    now = clock.now()
    made = _insert_batches(campaign, 0, parts, now)
    _go_on(campaign, 0, parts, now)
    stored = [_stored(campaign, first, part.new, n) for first, part in made.items() for n in range(len(part.new.rows))]
    return sorted(stored, key=attrgetter("row"))


def _stored(campaign: Campaign, first: int, new: NewMessages, index: int) -> Message:
    return Message(
        id=first + index,
        campaign=campaign,
        row=new.rows[index],
        phone_number=new.phones[index],
        status=MessageStatus.FAILED if index in new.failures else MessageStatus.QUEUED,
        segment_count=0 if index in new.failures else new.segment_counts[index],
    )


def _give_way(held: float, free: float) -> float:
    """Leave SQLite's write lock free for long enough that a waiting writer gets it. Return how long it is held since.

    SQLite's waiters poll, so without a pause they could find the lock taken by the next chunk every time. `held`,
    `free` (between chunks): all in seconds.
    """
    if connection.vendor != "sqlite" or held < SHORT_HELD:
        return held
    time.sleep(max(0.0, (LOOKS_AGAIN if held < LONG_HELD else LOOKS_AGAIN_LATER) - free))
    return 0.0


def _prepare(campaign: Campaign, chunk_number: int) -> list[Part]:
    """Return a chunk's batches: all of the work that needs no lock."""
    body = campaign.audience.chunks.values_list("body", flat=True).get(number=chunk_number)
    recipients = unpack_body(body)
    if chunk_number == 0:
        _require_no_row(campaign, recipients.phones)
    return _parts(campaign, recipients)


def _parts(campaign: Campaign, recipients: Recipients) -> list[Part]:
    renderer = renderer_of(campaign.kind, campaign.message, campaign.audience.columns)
    router = Router(campaign.account_id, campaign.sender_id, campaign.mode)
    return [
        _part(group, _new_messages(slice_, renderer, group), router, waits)
        for members, waits in _by_canary(campaign, recipients)
        for group, alike in _groups(campaign, members, router)
        for slice_ in _slices(alike, settings.BATCH_SIZE)
    ]


def _part(group: Group, new: NewMessages, router: Router, waits: bool) -> Part:
    if group.prefix == BLOCKED:
        return Part(group, new, Choice("", ""), waits)
    return Part(group, new, router.choose(group.prefix) or Choice("", unrouted.note_of(group.prefix)), waits)


def _by_canary(campaign: Campaign, recipients: Recipients) -> list[tuple[Recipients, bool]]:
    """Separate the first recipients of a canary from those that wait for its outcome."""
    if campaign.canary_size is None or not canary.is_on(campaign.pk):
        return [(recipients, False)]
    made = Batch.objects.filter(campaign=campaign).aggregate(made=Sum("size", default=0))["made"]
    first = max(0, campaign.canary_size - made)
    rows, phones, values = recipients
    parts = (
        (Recipients(rows[:first], phones[:first], values[:first]), False),
        (Recipients(rows[first:], phones[first:], values[first:]), True),
    )
    return [(part, waits) for part, waits in parts if part.rows]


def _groups(campaign: Campaign, recipients: Recipients, router: Router) -> list[tuple[Group, Recipients]]:
    """Group recipients by what a batch has in common, so that each value on the batch holds for every message."""
    rows, phones, values = recipients
    prices = _prices(campaign, phones)
    prefixes = router.prefixes_of(phones)
    if blocked := restrictions.blocked_among(campaign.account, phones):
        prefixes = [BLOCKED if phone in blocked else prefix for phone, prefix in zip(phones, prefixes, strict=True)]
    quiet = quiet_of(campaign)
    if quiet.is_none:
        keys = list(map(Group, prices, prefixes))
    else:
        keys = list(map(Group, prices, prefixes, *zip(*quiet.due_times(phones, clock.now()), strict=True)))
    if len(set(keys)) <= 1:
        return [(key, recipients) for key in keys[:1]]
    indexes: dict[Group, list[int]] = {}
    for index, key in enumerate(keys):
        indexes.setdefault(key, []).append(index)
    return [
        (key, Recipients([rows[n] for n in among], [phones[n] for n in among], [values[n] for n in among]))
        for key, among in indexes.items()
    ]


def _prices(campaign: Campaign, phones: Sequence[str]) -> list[int]:
    """Return the price of a segment to each of these phone numbers."""
    if campaign.prices is None:
        return [0] * len(phones)
    if len(different := set(campaign.prices.values())) == 1:
        return [different.pop()] * len(phones)
    prices = PriceList(campaign.prices)
    found = [prices.price_of(phone[1:]) for phone in phones]
    assert None not in found  # otherwise the campaign would not have been admitted
    return [price or 0 for price in found]


def _slices(recipients: Recipients, size: int) -> Iterator[Recipients]:
    for start in range(0, len(recipients.rows), size):
        end = start + size
        yield Recipients(recipients.rows[start:end], recipients.phones[start:end], recipients.values[start:end])


def _new_messages(recipients: Recipients, renderer: Renderer, group: Group) -> NewMessages:
    rows, phones, values = recipients
    if group.prefix == BLOCKED:
        failures = {index: Failure(Reason.COUNTRY_BLOCKED) for index in range(len(rows))}
        return NewMessages(rows, phones, stored_values(values), [0] * len(rows), failures)
    if renderer.is_constant:
        variables = [b""] * len(rows)
        (segments,), failures = _judge([()], renderer)
        counts, failures = [segments] * len(rows), dict.fromkeys(range(len(rows)), failures[0]) if failures else {}
    else:
        variables = stored_values(values)
        counts, failures = _judge(values, renderer)
    return NewMessages(rows, phones, variables, counts, failures, group.price_micro)


def _judge(values: Sequence[Sequence[str]], renderer: Renderer) -> tuple[list[int], dict[int, Failure]]:
    """Return the segments of each row's text, and by index why a text cannot be made or sent."""
    counts, failures = [0] * len(values), {}
    for index, row in enumerate(values):
        try:
            counts[index] = segment_count(fit_text(renderer, row))
        except Unfit as unfit:
            failures[index] = Failure(unfit.reason, unfit.detail)
    return counts, failures


def _store(campaign: Campaign, chunk_number: int, parts: Sequence[Part]) -> bool:
    try:
        with transaction.atomic():
            _insert(campaign, chunk_number, parts)
    except NotOurs:
        return False
    except IntegrityError:
        if not Batch.objects.filter(campaign=campaign, chunk=chunk_number).exists():
            raise
        return False
    return True


def _insert(campaign: Campaign, chunk_number: int, parts: Sequence[Part]) -> None:
    """Store the parts in the caller's transaction. Raises NotOurs if the campaign has gone on, or may not go on."""
    now = clock.now()
    _insert_batches(campaign, chunk_number, parts, now)
    ours = Campaign.objects.filter(pk=campaign.pk, chunks_done=chunk_number, status=CampaignStatus.RUNNING)
    is_ours = ours.update(
        chunks_done=chunk_number + 1,
        expansion_lease_until=now + timedelta(seconds=settings.LEASE_SECONDS),
        queued=F("queued") + sum(part.queued for part in parts),
        failed=F("failed") + sum(part.failed for part in parts),
    )
    if not is_ours:
        raise NotOurs
    pricing.cover(campaign, sum(part.new.price_micro * sum(part.new.segment_counts) for part in parts))
    _go_on(campaign, chunk_number, parts, now)


def _insert_batches(campaign: Campaign, chunk_number: int, parts: Sequence[Part], now: datetime) -> dict[int, Part]:
    """Store the batches with their messages. Return each part by the key of its first message."""
    turn = next_turn(campaign.account_id, _lane(campaign))
    batches = [_new_batch(campaign, chunk_number, index, turn + index, part, now) for index, part in enumerate(parts)]
    _insert_batch_rows(batches)
    made = {make_message_pk(batch.pk, 0): part for batch, part in zip(batches, parts, strict=True)}
    message_rows.insert_messages(campaign.pk, {first: part.new for first, part in made.items()})
    unfit = {first + index: failure for first, part in made.items() for index, failure in part.new.failures.items()}
    webhook_events.emit_unfit(campaign.pk, unfit, now)
    write_statistics({batch.pk: batch.tally for batch in batches}, {})
    return made


def _go_on(campaign: Campaign, chunk_number: int, parts: Sequence[Part], now: datetime) -> None:
    """Enqueue the sending of what was inserted; complete a campaign of which nothing can be sent."""
    if chunk_number + 1 == campaign.chunk_count and not any(part.queued for part in parts):
        settle_status([campaign.pk], now)
    enqueue(DISPATCH_TASK[_lane(campaign)])


def _lane(campaign: Campaign) -> Lane:
    return LANE_OF[CampaignKind(campaign.kind)]


def _new_batch(campaign: Campaign, chunk: int, index: int, turn: int, part: Part, now: datetime) -> Batch:
    new = part.new
    batch = Batch(
        account_id=campaign.account_id,
        campaign=campaign,
        chunk=chunk,
        part=index,
        mode=campaign.mode,
        gateway=part.choice.gateway,
        prefix=part.group.prefix.removeprefix(BLOCKED),
        route_note=part.choice.note,
        price_micro=new.price_micro,
        lane=_lane(campaign),
        turn=turn,
        size=len(new.rows),
        queued=part.queued,
        failed=part.failed,
        next_attempt_at=now,
        release_at=part.group.release_at,
        waits_for_canary=part.waits,
    )
    batch.state = resting_state(batch)
    if batch.state == BatchState.READY and (part.waits or part.group.release_at is not None or not batch.gateway):
        batch.state = BatchState.DEFERRED
    return batch
