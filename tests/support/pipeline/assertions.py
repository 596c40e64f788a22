"""What must add up whatever happened: counters, statistics, one call for each message."""

from collections import Counter
from typing import Any

from django.db.models import Sum

from campaigns.models import Campaign
from campaigns.models.tally import COUNTED_STATUSES
from messaging.choices import ACCEPTED, FactSource, MessageStatus
from messaging.models import Batch, DeliveryReport, Message, StatDelta

S = MessageStatus


def assert_counted(campaign: Campaign) -> None:
    """Counters of the campaign and tallies of its batches equal a recount of the rows."""
    campaign.refresh_from_db()
    rows = Counter(S(message.status).label for message in Message.objects.filter(campaign=campaign))
    recount = {status: rows[status] for status in COUNTED_STATUSES}
    assert campaign.tally == recount
    tallies = Counter()
    for batch in Batch.objects.filter(campaign=campaign):
        tallies.update(batch.tally)
    assert {status: tallies[status] for status in COUNTED_STATUSES} == recount


def charged_segments(batch: Batch) -> int:
    """By its rows: of what a provider took, but for what it refused afterwards and has not delivered all the same."""
    refused = DeliveryReport.objects.filter(source=FactSource.REFUSAL).values("message_id")
    accepted = Message.objects.in_batch(batch.pk).filter(status__in=ACCEPTED)
    charged = accepted.exclude(status=S.UNDELIVERED, pk__in=refused)
    return sum(charged.values_list("segment_count", flat=True))


def assert_adds_up() -> None:
    for batch in Batch.objects.all():
        summed = StatDelta.objects.filter(batch_id=batch.pk).aggregate(
            **{status: Sum(status) for status in (*COUNTED_STATUSES, "segments")}
        )
        segments = charged_segments(batch)
        assert batch.segments == segments
        assert {status: count or 0 for status, count in summed.items()} == batch.tally | {"segments": segments}


def assert_each_sent_once(simulator: Any) -> None:
    accepted = Counter(simulator.accepted_ids())
    assert set(accepted) == {message.message_id for message in Message.objects.all()}
    assert set(accepted.values()) == {1}
