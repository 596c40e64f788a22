"""Refusals because of our account (no credit) that a provider reports after accepting the messages."""

from collections.abc import Iterable, Sequence

from django.db import transaction
from django.utils.translation import gettext_noop

from campaigns.transitions import pause_for_gateway
from messaging.choices import AttemptState, FactSource, MessageStatus
from messaging.gateways.base import Report
from messaging.ids import batch_of, parse_public_id
from messaging.models import Attempt, Batch
from messaging.outcomes.settlement import QUEUED, Applied, Fact, apply, lock_batches
from messaging.storage import message_rows
from smsapp.lib.sentences import Sentence

ACCOUNT_REFUSED = gettext_noop("The gateway refuses our account: %(status)s")


def apply_late_refusals(reports: Sequence[Report]) -> Applied:
    """Close messages that a provider accepts and refuses later because of our account (no credit).

    They are not delivered and not charged; the running campaign is paused before the others go the same way. Such a
    report about an earlier call is no fact any more once a later one has carried the message.
    """
    if not reports:
        return Applied()
    message_pks = {
        message_pk: report for report in reports if (message_pk := parse_public_id(report.message_id)) is not None
    }
    with transaction.atomic():
        lock_batches({batch_of(message_pk) for message_pk in message_pks})
        last = _last_references(message_pks)
        facts = [
            Fact(message_pk, MessageStatus.UNDELIVERED, FactSource.REFUSAL, report.reason, report.error_code, report)
            for message_pk, report in message_pks.items()
            if report.reference in ("", last.get(message_pk))
        ]
        applied = apply(facts)
    if applied.changed:
        batches = Batch.objects.filter(pk__in={batch_of(message_pk) for message_pk in message_pks})
        campaigns = sorted(set(batches.values_list("campaign_id", flat=True)))
        detail = Sentence(ACCOUNT_REFUSED, status=next(iter(message_pks.values())).provider_status)

        def pause() -> None:
            for campaign_id in campaigns:
                pause_for_gateway(campaign_id, detail)

        transaction.on_commit(pause)
    return applied


def too_early(reports: Iterable[Report]) -> set[int]:
    """Return messages refused because of our account before the answer to their call is recorded.

    The provider may have accepted them; only with the answer do such refusals say anything.
    """
    told = {
        message_pk: report.reference
        for report in reports
        if (message_pk := parse_public_id(report.message_id)) is not None
    }
    known = message_rows.read_messages(told)
    queued = {message_pk: told[message_pk] for message_pk, stored in known.items() if stored.status == QUEUED}
    batches = {batch_of(message_pk) for message_pk in queued}
    calls = Attempt.objects.filter(batch_id__in=batches, state=AttemptState.OPEN).values_list(
        "first", "last", "reference"
    )
    return {
        message_pk
        for first, last, carried_by in calls
        for message_pk, reference in queued.items()
        if first <= message_pk <= last and reference in ("", carried_by)
    }


def _last_references(message_pks: Iterable[int]) -> dict[int, str]:
    """Return the reference of the last call that carried each message."""
    attempts = Attempt.objects.filter(batch_id__in={batch_of(message_pk) for message_pk in message_pks}).order_by("pk")
    last: dict[int, str] = {}
    for first, end, reference in attempts.values_list("first", "last", "reference"):
        last |= {message_pk: reference for message_pk in message_pks if first <= message_pk <= end}
    return last
