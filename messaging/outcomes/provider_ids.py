"""Providers' own ids of messages: stored with the answer, found again when a report names nothing else."""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate

from django.conf import settings

from messaging.gateways import registry
from messaging.gateways.base import LookUpBy, Report
from messaging.ids import batch_of, parse_public_id, public_id
from messaging.models import Attempt, ProviderReference
from smsapp.core.purge import Purged, remove_oldest

AT_ONCE = 1000
NOBODYS = "-"
SPARE_HOURS = 72  # that a reference is kept beyond the last expected report


def keep(gateway: str, provider_ids: Mapping[str, str]) -> None:
    """Store a provider's ids, by ours, in the transaction that records its answer. Known ones stay as they are."""
    rows = [
        ProviderReference(gateway=gateway, reference=theirs[:120], message_id=message_pk)
        for ours, theirs in provider_ids.items()
        if theirs and (message_pk := parse_public_id(ours)) is not None
    ]
    if rows:
        ProviderReference.objects.bulk_create(rows, ignore_conflicts=True, batch_size=AT_ONCE)


def with_our_ids(gateway: str, reports: Sequence[Report]) -> list[Report]:
    """Return the reports with our ids in place of the provider's; unchanged where nobody knows them (yet)."""
    wanted = {report.provider_id for report in reports if not report.message_id and report.provider_id}
    if not wanted:
        return list(reports)
    rows = ProviderReference.objects.filter(gateway=gateway, reference__in=wanted)
    ours = {reference: public_id(message_pk) for reference, message_pk in rows.values_list("reference", "message_id")}
    return [report._replace(message_id=report.message_id or ours.get(report.provider_id, "")) for report in reports]


def only_of(gateway: str, reports: Sequence[Report]) -> list[Report]:
    """Return the reports with nobody's id where no call of this gateway carried the message.

    Where ids travel in addresses, whoever knows an address can report on any id.
    """
    if registry.policy_of(gateway).look_up_by is LookUpBy.OUR_ID:
        return list(reports)
    message_pks = {message_pk for report in reports if (message_pk := parse_public_id(report.message_id)) is not None}
    own = _carried_by(gateway, message_pks) if message_pks else set()
    return [
        report
        if (message_pk := parse_public_id(report.message_id)) is None or message_pk in own
        else report._replace(message_id=NOBODYS)
        for report in reports
    ]


def _carried_by(gateway: str, message_pks: Collection[int]) -> set[int]:
    """Return the messages that a call of this gateway has carried.

    Calls overlap where one was repeated in halves, so what counts is how far the calls reach that begin at a message or
    before it. No call leaves its batch.
    """
    calls = Attempt.objects.filter(
        gateway=gateway, batch__pk__among={batch_of(message_pk) for message_pk in message_pks}
    )
    slices = sorted(calls.values_list("first", "last"))
    firsts, reach = [first for first, _ in slices], [0, *accumulate((last for _, last in slices), max)]
    return {message_pk for message_pk in message_pks if message_pk <= reach[bisect_right(firsts, message_pk)]}


def of_attempt(attempt: Attempt) -> list[str]:
    """Return the provider's ids of the messages in a call."""
    rows = ProviderReference.objects.filter(
        gateway=attempt.gateway, message__gte=attempt.first, message__lte=attempt.last
    )
    return list(rows.values_list("reference", flat=True))


def purge(now: datetime) -> Purged:
    """Forget ids whose last report is long in, or given up."""
    old = now - timedelta(hours=settings.REPORT_DEADLINE_HOURS + SPARE_HOURS)
    return remove_oldest(ProviderReference.objects.filter(created_at__lt=old), "created_at")
