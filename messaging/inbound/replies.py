"""Messages from handsets: assigned to an account, stored once each, and sent on to its endpoints.

A message belongs to the account that last texted this handset from the number it answers; else to the only account with
that number as an approved sender; else to nobody, which the console shows to operators.
"""

import logging
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from django.db import IntegrityError, transaction

from accounts import webhooks
from accounts.choices import EventType, Mode, SenderStatus
from accounts.models import SenderId
from messaging.gateways.base import Inbound
from messaging.ids import public_id
from messaging.inbound import opt_outs
from messaging.models import InboundMessage, Message
from smsapp.core import clock
from smsapp.lib.moments import utc_text

logger = logging.getLogger(__name__)

RECENT = 50  # newest messages to a handset that a reply may answer


class _Owner(NamedTuple):
    account_id: int | None
    reply_to: int | None


def receive(gateway: str, messages: Sequence[Inbound]) -> int:
    """Store messages that are not stored yet, each in its own transaction. Return the number. Raises DatabaseError."""
    return sum(_keep(gateway, message) for message in messages)


def _keep(gateway: str, message: Inbound) -> bool:
    try:
        with transaction.atomic():
            row = _row(gateway, message)
            row.save(force_insert=True)
            opt_outs.apply(row, is_confirmed=message.is_answered)
            if row.account_id is not None:
                webhooks.emit(row.account_id, Mode.LIVE, EventType.INBOUND_RECEIVED, event_data(row))
    except IntegrityError:  # pushed again, because the provider did not see our answer
        return False
    logger.info("inbound message %s for account %s", row.inbound_id, row.account_id)
    return True


def _row(gateway: str, message: Inbound) -> InboundMessage:
    owner = _owner(message)
    return InboundMessage(
        account_id=owner.account_id,
        inbound_id=f"in-{secrets.token_hex(10)}",
        gateway=gateway,
        provider_reference=message.provider_reference,
        phone_number=message.sender,
        recipient=message.recipient,
        text=message.text,
        keyword=message.keyword,
        segment_count=message.segment_count,
        reply_to=owner.reply_to,
        received_at=message.received_at or clock.about_now(),
    )


def _owner(message: Inbound) -> _Owner:
    spellings = {message.recipient, f"+{message.recipient}"}
    recent = Message.objects.filter(phone_number=message.sender).select_related("campaign").order_by("-id")[:RECENT]
    for sent in recent:
        if sent.campaign.sender_id in spellings and sent.campaign.mode == Mode.LIVE:
            return _Owner(sent.campaign.account_id, sent.pk)
    owners = SenderId.objects.filter(value__in=spellings, status=SenderStatus.APPROVED)
    accounts = set(owners.values_list("account_id", flat=True)[:2])
    return _Owner(accounts.pop() if len(accounts) == 1 else None, None)


def event_data(row: InboundMessage) -> dict[str, object]:
    return {
        "inbound_id": row.inbound_id,
        "phone_number": row.phone_number,
        "recipient": row.recipient,
        "text": row.text or None,
        "keyword": row.keyword or None,
        "segments": row.segment_count,
        "reply_to_message_id": public_id(row.reply_to) if row.reply_to is not None else None,
        "received_at": utc_text(row.received_at),
    }
