"""Resend the failed messages of an ended campaign as new messages of a new campaign.

1. `create_resend` makes the new campaign under the old one's lock, as a draft with an empty audience.
2. `fill_chunk` adds one audience chunk per transaction: up to CHUNK_SIZE messages after the one stored last, found by
   walking the old campaign's batches by their tallies. Its position is read from the last chunk, so a kill at any point
   costs nothing, and any number of processes may fill at once.
3. A chunk that is not full is the last one: its transaction starts the campaign, which is then like any other.

Messages that were delivered, may still be delivered or were never to be sent are left alone. So is a message whose text
could not be made: it would fail again. Numbers that have opted out meanwhile are stopped at dispatch.
"""

import logging
from collections.abc import Sequence

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from campaigns.resends import create_resend, show_gathered
from campaigns.services import launch_resend
from messaging.choices import MessageStatus, Reason
from messaging.ids import batch_of, batch_range
from messaging.models import Batch, Message
from smsapp.core.budget import Budget
from smsapp.core.enqueue import enqueue
from smsapp.core.exceptions import InvalidState, SmsappError, ValidationError
from smsapp.core.isolation import run_isolated
from uploads.audiences import add_recipients, last_recipient
from uploads.chunks import Recipients

logger = logging.getLogger(__name__)

#: These certainly did not arrive.
FAILED_STATUSES = (MessageStatus.UNDELIVERED, MessageStatus.REJECTED, MessageStatus.FAILED, MessageStatus.EXPIRED)
#: Only when asked for: an unconfirmed message may have arrived, so the recipient may get it twice.
ON_REQUEST = (MessageStatus.UNCONFIRMED, MessageStatus.CANCELLED)
WOULD_FAIL_AGAIN = (Reason.MISSING_VALUE, Reason.TEXT_TOO_LONG, Reason.EMPTY_TEXT)

AT_ONCE = 5000  # messages that are gathered before the request is answered
DRAFTS_PER_TASK = 20


def resend_failed(campaign: Campaign, by: User, statuses: Sequence[MessageStatus] = FAILED_STATUSES) -> Campaign:
    """Send the messages of these statuses again, as a new campaign whose `resend_of` is this one.

    Up to AT_ONCE messages it is running when this returns, its recipients complete; else it is a draft that starts by
    itself. A campaign is resent once (see `create_resend`). Raises an SmsappError: ValidationError for a status that
    is never resent, InvalidState if this campaign cannot be resent or has nothing that could.
    """
    for status in statuses:
        if status not in (*FAILED_STATUSES, *ON_REQUEST):
            raise ValidationError(_("Messages in this status are never resent."), "statuses", status.label)
    names = [status.label for status in statuses]
    with transaction.atomic():
        resend = create_resend(campaign, by, names)
        if sum(_original(resend).tally[name] for name in names) > AT_ONCE:
            enqueue("messaging.fill_resends")
            return resend
        while fill_chunk(resend.pk):
            pass
        resend.refresh_from_db()
        if not resend.total_recipients:
            raise InvalidState(_("None of the failed messages can be resent, because their texts cannot be made."))
    return resend


def fill_resends() -> int:
    """Fill drafts until each is complete or the budget is over. Return the number of chunks."""
    budget = Budget(settings.TASK_BUDGET)
    done = 0
    for resend_id in list(Campaign.objects.to_gather().order_by("id").values_list("pk", flat=True)[:DRAFTS_PER_TASK]):
        more: bool | None = True
        while more:
            if budget.is_over:
                enqueue("messaging.fill_resends")
                return done
            more = run_isolated(_fill_or_say_why, resend_id)
            done += 1
    return done


def _fill_or_say_why(resend_id: int) -> bool:
    """Fill one chunk. A draft that cannot start now, such as for lack of credit, shows why and is tried again."""
    try:
        return fill_chunk(resend_id)
    except SmsappError as error:
        Campaign.objects.to_gather().filter(pk=resend_id).update(status_detail=error.sentence)
        return False


def fill_chunk(resend_id: int) -> bool:
    """Add the next chunk of a draft, and start it after the last. Return whether there may be another.

    The messages are read before the transaction, which holds the draft's row and goes on only if nobody has added a
    chunk meanwhile and the draft was not cancelled.
    """
    drafts = Campaign.objects.to_gather().select_related("audience", "resend_of")
    draft = drafts.filter(pk=resend_id).first()
    if draft is None:
        return False
    messages = _next_messages(draft)
    with transaction.atomic():
        resend = Campaign.objects.select_for_update(of=("self",)).select_related("audience").get(pk=resend_id)
        if resend.status != CampaignStatus.DRAFT:
            return False
        if resend.audience.chunk_count != draft.audience.chunk_count:
            return True
        if messages:
            add_recipients(resend.audience, _recipients(messages))
            show_gathered(resend)
        if len(messages) == settings.CHUNK_SIZE:
            return True
        launch_resend(resend)
    return False


def _next_messages(draft: Campaign) -> list[Message]:
    """Return up to CHUNK_SIZE messages to resend, in id order, after the one stored last."""
    found: list[Message] = []
    after = _stored_last(draft)
    wanted = Message.objects.filter(status__in=_statuses(draft), id__gt=after).exclude(reason__in=WOULD_FAIL_AGAIN)
    # Earlier versions called unconfirmed messages without a report so.
    wanted = wanted.exclude(status=MessageStatus.UNDELIVERED, reason=Reason.NO_REPORT)
    for batch_id in _batches(draft, after):
        found += wanted.filter(id__range=batch_range(batch_id)).order_by("id")[: settings.CHUNK_SIZE - len(found)]
        if len(found) == settings.CHUNK_SIZE:
            break
    return found


def _stored_last(draft: Campaign) -> int:
    """Return the key of the message whose recipient was stored last, 0 before the first.

    Uses the index (phone, id). Raises Message.DoesNotExist if it is not found: beginning again at 0 would send
    everything twice.
    """
    last = last_recipient(draft.audience)
    if last is None:
        return 0
    row, phone = last
    return Message.objects.get(phone_number=phone, campaign=_original(draft), row=row).id


def _batches(draft: Campaign, after: int) -> list[int]:
    """Return the batches from this message key on that hold a message to resend."""
    has_some = Q()
    for status in _statuses(draft):
        has_some |= Q(**{f"{status.label}__gt": 0})
    batches = Batch.objects.filter(has_some, campaign=_original(draft), id__gte=batch_of(after + 1))
    return list(batches.order_by("id").values_list("id", flat=True))


def _original(draft: Campaign) -> Campaign:
    assert draft.resend_of is not None
    return draft.resend_of


def _statuses(draft: Campaign) -> list[MessageStatus]:
    return [MessageStatus[name.upper()] for name in draft.resend_statuses]


def _recipients(messages: Sequence[Message]) -> Recipients:
    """Return the messages as rows of a file. A text without placeholders needs no values, so none were stored."""
    return Recipients(
        [message.row for message in messages],
        [message.phone_number for message in messages],
        [orjson.loads(message.variables) if message.variables else [] for message in messages],
    )
