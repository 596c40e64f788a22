"""Do states, tallies and rows agree?

A few are checked every few minutes. Nothing is corrected here, except the state of a batch, which its tally determines.
A contradiction is a defect of ours: it is logged, shown on the console's front page, and left to a person.

Each question is one statement, so it sees the database at one moment, whatever others write.
"""

import logging
import random
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Exists, F, Func, IntegerField, Model, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from campaigns.models.tally import COUNTED_STATUSES
from messaging.choices import OPEN, AttemptState, BatchState, MessageStatus
from messaging.ids import MAX_IN_BATCH
from messaging.models import Attempt, Batch, Message
from messaging.outcomes import conflicts, rounds
from messaging.storage import counters
from smsapp.core.isolation import run_isolated

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)

ROWS_SHOWN = 100  # of each kind
CAMPAIGNS_AT_ONCE = 200  # campaigns whose counters are compared with their batches
CAMPAIGNS_LOOKED_AT = 2000  # campaigns looked at to find those
TALLIES_AT_ONCE = 2000  # batches whose state is compared with their tally
BATCHES_AT_ONCE = 20  # batches whose messages are counted: 20,000 rows
MUST_ADD_UP = (CampaignStatus.RUNNING, CampaignStatus.COMPLETED)


def check() -> int:
    """Ask every question. Return the number of contradictions."""
    found = [what for question in QUESTIONS for what in run_isolated(_answers, question) or []]
    for what in found:
        logger.error("contradiction: %s", what)
    conflicts.write_states(found)
    return len(found)


def _answers(question: Callable[[], Iterator[str]]) -> list[str]:
    return list(question())


def batches_in_a_wrong_state() -> Iterator[str]:
    """Yield unleased batches whose tally demands another state, and set the state that a tally may decide."""
    done = Q(state=BatchState.DONE) & (Q(queued__gt=0) | Q(unknown__gt=0))
    ready = Q(state=BatchState.READY, queued__lte=0)
    unknown = Q(state=BatchState.UNKNOWN) & (Q(queued__gt=0) | Q(unknown__lte=0))
    for batch in Batch.objects.filter(done | ready | unknown, pk__in=_some_batches("tallies", TALLIES_AT_ONCE))[
        :ROWS_SHOWN
    ]:
        yield f"batch {batch.pk} is {batch.state}, with {batch.queued} messages queued and {batch.unknown} unknown"
        _rest(batch.pk)


def unknown_batches_nobody_looks_up() -> Iterator[str]:
    looked_up = Attempt.objects.filter(
        batch_id=OuterRef("pk"), state=AttemptState.UNKNOWN, next_lookup_at__isnull=False
    )
    some = _some_batches("unknown", TALLIES_AT_ONCE, Q(unknown__gt=0))
    for batch in Batch.objects.filter(~Exists(looked_up), pk__in=some, unknown__gt=0)[:ROWS_SHOWN]:
        yield f"batch {batch.pk} has {batch.unknown} unknown messages, and no call that would be looked up"


def calls_nobody_settles() -> Iterator[str]:
    """Yield open calls whose batch nobody holds and that are not swept, and unknown ones without a look-up time."""
    unswept = Attempt.objects.filter(state=AttemptState.OPEN).exclude(batch__state=BatchState.LEASED)
    never = Attempt.objects.filter(state=AttemptState.UNKNOWN, next_lookup_at=None)
    for attempt in (*unswept.order_by("deadline")[:ROWS_SHOWN], *never[:ROWS_SHOWN]):
        yield f"call {attempt.reference} is {attempt.state}, and nobody will settle it"


def campaigns_that_do_not_add_up() -> Iterator[str]:
    """Yield campaigns whose counters differ from their batches' tallies, or from their recipients once expanded."""
    sums = {f"{status}_in_batches": Coalesce(Sum(f"batches__{status}"), 0) for status in COUNTED_STATUSES}
    for campaign in Campaign.objects.filter(pk__in=_some_campaigns("counters")).annotate(**sums):
        for status in COUNTED_STATUSES:
            counted, added = getattr(campaign, status), getattr(campaign, f"{status}_in_batches")
            if counted != added:
                yield f"campaign {campaign.bulk_id} counts {counted} {status}, its batches {added}"
        if campaign.status in MUST_ADD_UP and campaign.chunks_done == campaign.chunk_count and campaign.waiting:
            yield f"campaign {campaign.bulk_id} is expanded, and {campaign.waiting} of its recipients are nowhere"


def batches_whose_rows_disagree() -> Iterator[str]:
    """Yield batches that do not count a waiting row, which would then wait for ever."""
    counts = {f"{status.label}_rows": _count_of(status) for status in sorted(OPEN)}
    for batch in Batch.objects.filter(pk__in=_some_batches("rows", BATCHES_AT_ONCE)).annotate(**counts):
        for status in sorted(OPEN):
            counted, rows = getattr(batch, status.label), getattr(batch, f"{status.label}_rows")
            if counted != rows:
                yield f"batch {batch.pk} counts {counted} {status.label}, and has {rows}"


QUESTIONS = (
    batches_in_a_wrong_state,
    unknown_batches_nobody_looks_up,
    calls_nobody_settles,
    campaigns_that_do_not_add_up,
    batches_whose_rows_disagree,
)


def _count_of(status: MessageStatus) -> Any:
    first = OuterRef("pk") * MAX_IN_BATCH
    rows = Message.objects.filter(id__gte=first, id__lt=first + MAX_IN_BATCH, status=status).order_by()
    count = rows.annotate(count=Func(F("id"), function="COUNT", output_field=IntegerField())).values("count")
    return Coalesce(Subquery(count), 0)


def _some_campaigns(check: str) -> list[int]:
    """Return the next open campaigns."""
    ids = rounds.next_open(check, CAMPAIGNS_AT_ONCE)
    if ids:
        rounds.went_on(check, ids[-1])
    return ids


def _some_batches(check: str, limit: int, among: Q | None = None) -> list[int]:
    """Return batches of the next open campaigns, in each from a random chunk on."""
    ids = rounds.next_open(check, CAMPAIGNS_LOOKED_AT)
    chunk_counts = dict(Campaign.objects.filter(among or Q(), pk__in=ids).values_list("pk", "chunk_count"))
    found: list[int] = []
    campaigns = 0
    for campaign_id in ids:
        if campaign_id in chunk_counts:
            found += _from_some_chunk(campaign_id, chunk_counts[campaign_id], limit - len(found))
            campaigns += 1
        if len(found) >= limit or campaigns >= CAMPAIGNS_AT_ONCE:
            break
    if ids:
        rounds.went_on(check, campaign_id)
    return found


def _from_some_chunk(campaign_id: int, chunk_count: int, limit: int) -> list[int]:
    start = random.randint(0, max(0, chunk_count - 1))  # noqa: S311
    rows = Batch.objects.filter(campaign=campaign_id).order_by("chunk", "part").values_list("pk", flat=True)
    found = list(rows.filter(chunk__gte=start)[:limit])
    return found + list(rows.filter(chunk__lt=start)[: limit - len(found)])


def _rest(batch_id: int) -> None:
    with transaction.atomic():
        Batch.objects.select_for_update().get(pk=batch_id)
        counters.rest_batches([batch_id])
