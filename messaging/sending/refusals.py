"""When a gateway refuses one call after the other, its campaign is paused with the reason.

Messages    A message that is refused by itself is rejected, since usually it is to blame. After REFUSALS_BEFORE_PAUSE
            refusals in a row for the same reason, with none accepted in between, all others would be refused, too.
            Refusals because of the recipient are not counted: a list may have many wrong numbers.
Account     Waiting loses nothing. If other calls succeed, the call is tried again, as often; else the campaign is
            paused at once.

Refusals are counted by campaign and gateway: one gateway may refuse everything beside another that accepts the rest.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import Max, Q, Sum

from campaigns.choices import PauseReason
from campaigns.transitions import pause_for_gateway
from messaging.choices import AttemptState, MessageStatus, Reason
from messaging.gateways.base import Report
from messaging.models import Attempt, Batch, RefusalRow
from messaging.sending.submit import Call
from smsapp.core import clock

logger = logging.getLogger(__name__)

RECIPIENTS_OWN = frozenset({Reason.RECIPIENT_REFUSED, Reason.UNKNOWN_NUMBER, Reason.OPTED_OUT})
TAKEN = ("sent", "delivered", "undelivered", "unconfirmed")  # statuses in a tally that a gateway accepted, or may have
LATELY = timedelta(minutes=2)  # a success longer ago says nothing about our account now
DIGITS_OF_A_CODE = 4
LOOKED_THROUGH = 1000  # newest calls among which a success is looked for


class Refusal(NamedTuple):
    """Why a campaign has to be paused."""

    campaign_id: int
    why: str


def count(call: Call, reports: Sequence[Report]) -> Refusal | None:
    """Count the refusals of an answer that accepted nothing, in the transaction that rejects the messages.

    Return a Refusal if there were too many. The caller has moved the campaign's counters before; their lock keeps other
    workers from counting meanwhile.
    """
    campaign, limit = call.batch.campaign, settings.REFUSALS_BEFORE_PAUSE
    if not 0 < limit <= campaign.total_recipients:
        return None
    refused = [_why(report) for report in reports if _is_counted(report)]
    if not refused or any(report.status in (MessageStatus.SENT, MessageStatus.DELIVERED) for report in reports):
        return None
    ((kind, more),) = Counter(map(_kind, refused)).most_common(1)
    why = next(why for why in refused if _kind(why) == kind)
    taken = _taken(campaign.pk, call.gateway.name)
    row, _ = RefusalRow.objects.select_for_update().get_or_create(
        campaign=campaign, gateway=call.gateway.name, defaults={"why": why, "taken": taken}
    )
    goes_on = (_kind(row.why), row.taken) == (kind, taken)
    row.why, row.taken, row.count = why, taken, more + (row.count if goes_on else 0)
    row.save(update_fields=["why", "taken", "count"])
    return Refusal(campaign.pk, why) if row.count >= limit else None


def pause(refusal: Refusal) -> None:
    """Pause the campaign. Whoever resumes it allows as many refusals again. Not inside a transaction."""
    if pause_for_gateway(refusal.campaign_id, refusal.why, PauseReason.MESSAGES_REFUSED):
        logger.warning("campaign %s paused: %s", refusal.campaign_id, refusal.why)
    RefusalRow.objects.filter(campaign_id=refusal.campaign_id).delete()


def is_lasting(call: Call, why: str) -> bool:
    """Return whether a refusal of our account is more than an exception.

    It is if nothing else was accepted lately, or each of the batch's last calls was refused so. Call it before the call
    is recorded.
    """
    return _was_refused_before(call, why) or not _took_lately(call)


def _is_counted(report: Report) -> bool:
    is_refused = report.status is MessageStatus.REJECTED and not report.account_refused
    return is_refused and report.reason not in RECIPIENTS_OWN


def _why(report: Report) -> str:
    said = filter(None, (report.provider_status, report.error_code, report.error_description))
    return ", ".join(said)[:200].replace("\x00", "")


def _kind(why: str) -> str:
    """Return the reason without words of many digits: a phone number, an id or a time may belong to this message."""
    return " ".join(word for word in why.split() if sum(map(str.isdigit, word)) <= DIGITS_OF_A_CODE)


def _taken(campaign_id: int, gateway: str) -> int:
    sums = {name: Sum(name, default=0) for name in TAKEN}
    return sum(Batch.objects.filter(campaign=campaign_id, gateway=gateway).aggregate(**sums).values())


def _was_refused_before(call: Call, why: str) -> bool:
    """Return whether this is one refusal too many in a row. A call not sent for another reason ends the row."""
    others = Attempt.objects.filter(batch=call.batch).exclude(pk=call.attempt.pk).order_by("-pk")
    before = list(others.values_list("gateway", "state", "detail")[: max(0, settings.REFUSALS_BEFORE_PAUSE - 1)])
    same = call.gateway.name, AttemptState.NOT_SENT, _kind(why[:300])
    is_row = all((gateway, state, _kind(detail)) == same for gateway, state, detail in before)
    return is_row and len(before) + 1 >= settings.REFUSALS_BEFORE_PAUSE


def _took_lately(call: Call) -> bool:
    newest = Attempt.objects.aggregate(newest=Max("pk"))["newest"] or 0
    has_taken = Q()
    for name in TAKEN:
        has_taken |= Q(**{f"batch__{name}__gt": 0})
    answered = Attempt.objects.filter(
        has_taken,
        pk__gt=newest - LOOKED_THROUGH,
        gateway=call.gateway.name,
        state=AttemptState.ANSWERED,
        finished_at__gte=clock.now() - LATELY,
    )
    return answered.exclude(pk=call.attempt.pk).exists()
