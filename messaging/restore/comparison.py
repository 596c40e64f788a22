"""Compares one batch of a restored database with what its providers have of it."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from accounts.security import sending_hold
from messaging.choices import AttemptState, BatchState, FactSource, MessageStatus
from messaging.gateways import registry
from messaging.gateways.base import MAX_IDS, Gateway, LookUpBy, Report
from messaging.ids import CallName, batch_range, parse_public_id, public_id, read_call_name
from messaging.models import Attempt, Batch
from messaging.outcomes import settlement
from messaging.restore import detection
from messaging.routing.router import Router, live_gateways
from messaging.storage import message_rows
from smsapp.core import clock

MAX_NUMBER = 2**63 - 1


class NotTold(Exception):
    """The provider's log could not be read, or does not cover the time in question. The text says why."""


class NotYet(Exception):
    """A batch cannot be compared at this moment, but can soon."""


def compare(batch: Batch) -> int:
    """Record what the providers have of one batch. Return the number of messages. Raises NotTold or NotYet."""
    if batch.state == BatchState.LEASED:
        raise NotYet("A worker of before still holds a batch; its lease ends within a minute.")
    found: dict[str, list[Report]] = {}
    for gateway in _gateways_of(batch):
        require_conclusive(gateway)
        found[gateway.name] = []
        for status in (MessageStatus.UNKNOWN, MessageStatus.QUEUED):
            for message_pks in _slices(batch, status):
                found[gateway.name] += _look_up(gateway, message_pks)
    return _record(batch, found)


def _gateways_of(batch: Batch) -> list[Gateway]:
    """Return all gateways that may have some of the batch.

    In the time that the database has forgotten it may have moved from one to another. Raises NotTold.
    """
    router = Router(batch.account_id, batch.campaign.sender_id, batch.mode)
    by_routes = router.gateways_of(batch.prefix) or live_gateways()  # a route that led there may be forgotten, too
    names = dict.fromkeys(filter(None, [batch.gateway, *by_routes]))
    try:
        return [registry.get(name) for name in names]
    except (LookupError, ImproperlyConfigured) as error:
        raise NotTold(str(error)) from error


def require_conclusive(gateway: Gateway) -> None:
    """Require a log by our message ids that reaches back to our data and forward to the hold."""
    if gateway.policy.look_up_by is not LookUpBy.OUR_ID:
        raise NotTold(f"The provider of gateway {gateway.name} knows messages by no id of ours.")
    held, mark, now = sending_hold.current(), detection.last_mark(), clock.now()
    if held is None:
        raise NotYet("Sending was released meanwhile.")
    if mark is None or (held.since - mark.at).total_seconds() > gateway.policy.close_unknown_after:
        raise NotTold("The provider's log does not reach back to the time of this backup.")
    wait = held.since + timedelta(seconds=gateway.policy.lookup_grace) - now
    if wait > timedelta(0):
        raise NotYet(f"The provider's log may lag: it is read in {wait.total_seconds():.0f} seconds.")


def _slices(batch: Batch, status: MessageStatus) -> Iterator[list[int]]:
    message_pks = message_rows.read_message_pks(*batch_range(batch.pk), status)
    return (message_pks[start : start + MAX_IDS] for start in range(0, len(message_pks), MAX_IDS))


def _look_up(gateway: Gateway, message_pks: Sequence[int]) -> Sequence[Report]:
    time.sleep(60 / settings.RELEASE_LOOKUPS_PER_MINUTE)
    answer = gateway.look_up_messages([public_id(message_pk) for message_pk in message_pks])
    if not answer.conclusive:
        raise NotTold(answer.detail or "The provider does not tell.")
    return answer.reports


def _record(batch: Batch, found: Mapping[str, Sequence[Report]]) -> int:
    """Record what each gateway knows, by `found`."""
    facts, _ = settlement.facts_from([report for reports in found.values() for report in reports], FactSource.LOOKUP)
    with transaction.atomic():
        Batch.objects.select_for_update().get(pk=batch.pk)
        _record_calls(batch, found)
        return settlement.apply(facts).changed


def _record_calls(batch: Batch, found: Mapping[str, Sequence[Report]]) -> None:
    """Store the calls that the database has forgotten, and those between them as not sent.

    The reference of the next call counts on from here, so it is a new one.
    """
    own = CallName(batch.pk, 0, batch.account_id, batch.mode, batch.campaign.bulk_id)
    references: dict[int, str] = {}
    carried: dict[int, list[int]] = defaultdict(list)
    carriers: dict[int, str] = {}
    for gateway, report in ((gateway, report) for gateway, reports in found.items() for report in reports):
        message_pk, name = parse_public_id(report.message_id), read_call_name(report.reference)
        if message_pk is not None and name is not None and name.batch_id == batch.pk:
            carried[name.ordinal].append(message_pk)
            carriers[name.ordinal], references[name.ordinal] = gateway, report.reference
    known = Attempt.objects.filter(batch_id=batch.pk).count()
    now = clock.now()
    calls = [
        Attempt(
            batch_id=batch.pk,
            gateway=carriers.get(ordinal, next(iter(found))),
            reference=references.get(ordinal, own._replace(ordinal=ordinal).reference),
            epoch=batch.lease_epoch,
            first=min(carried.get(ordinal, [0])),
            last=max(carried.get(ordinal, [0])),
            message_count=len(carried.get(ordinal, [])),
            started_at=now,
            deadline=now,
            finished_at=now,
            state=AttemptState.RESOLVED if ordinal in carried else AttemptState.NOT_SENT,
            detail="Found at the provider after a restore." if ordinal in carried else "Not known to the provider.",
        )
        for ordinal in range(known + 1, max(carried, default=0) + 1)
    ]
    Attempt.objects.bulk_create(calls, ignore_conflicts=True)
