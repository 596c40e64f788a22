"""Messages and delivery reports as the API answers them.

Plain functions: in a list, the machinery of a serializer costs several times what the database does.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from messaging.choices import OPEN, FactSource, MessageStatus, Reason
from messaging.ids import public_id
from messaging.message_text import RenderStored, made_text
from messaging.models import Message
from messaging.outcomes.message_prices import refused_among
from reports.selectors.batch_facts import BatchFacts, facts_of
from reports.selectors.delivery_reports import ReportRow

Row = dict[str, Any]

_PUBLIC = {status.value: status.public for status in MessageStatus}
_FINAL = {status.value: status not in OPEN for status in MessageStatus}


def message_rows(messages: Sequence[Message]) -> list[Row]:
    """As `MessageSerializer` describes them. Two queries at most."""
    by_batch = facts_of({message.batch_id for message in messages})
    refused = refused_among([message.pk for message in messages if _may_be_free(message, by_batch[message.batch_id])])
    renderers: dict[int, RenderStored] = {}
    rows = []
    for message in messages:
        facts = by_batch[message.batch_id]
        if (render := renderers.get(facts.campaign_id)) is None:
            render = renderers[facts.campaign_id] = facts.renderer()
        price = facts.price(message.status, message.segment_count, is_refused=message.pk in refused)
        rows.append(_message_row(message, facts, made_text(render, message, facts.text), price))
    return rows


def report_row(row: ReportRow) -> Row:
    """As `ReportSerializer` describes it."""
    report, facts = row.report, row.facts
    is_refused = report.source == FactSource.REFUSAL
    price = facts.price(report.status, row.segment_count, is_refused=is_refused)
    return {
        "message_id": public_id(report.message_id),
        "bulk_id": facts.bulk_id,
        "client_reference": facts.client_reference,
        "to": row.phone_number,
        "status": _PUBLIC[report.status],
        **_why(report.status, report.reason),
        "provider_status": report.provider_status or None,
        "error_code": report.error_code or None,
        "error_description": report.error_description or None,
        **_priced(price, facts),
        "done_at": report.done_at,
        "received_at": report.received_at,
    }


def _may_be_free(message: Message, facts: BatchFacts) -> bool:
    """Whether a refusal may have made it so."""
    return message.status == MessageStatus.UNDELIVERED and facts.pays and facts.segment_price > 0


def _message_row(message: Message, facts: BatchFacts, text: str, price: Decimal | None) -> Row:
    is_delivered = message.status == MessageStatus.DELIVERED
    delivered_at: datetime | None = message.done_at if is_delivered else None
    why = _why(message.status, message.reason)
    return {
        "message_id": public_id(message.pk),
        "bulk_id": facts.bulk_id,
        "client_reference": facts.client_reference,
        "to": message.phone_number,
        "message": text,
        "sender_id": facts.sender_id or None,
        "segments": message.segment_count,
        **_priced(price, facts),
        "status": _PUBLIC[message.status],
        "is_final": _FINAL[message.status],
        **why,
        "detail": (why["reason"] and message.detail) or None,
        "row": message.row,
        "created_at": facts.created_at,
        "sent_at": message.sent_at,
        "delivered_at": delivered_at,
    }


def _why(status: int, reason: str) -> Row:
    """Why it went wrong: of a message on its way, nothing has."""
    shown = reason if status != MessageStatus.SENT else ""
    return {"reason": shown or None, "error_message": str(Reason(shown).label) if shown else None}


def _priced(price: Decimal | None, facts: BatchFacts) -> Row:
    return {"price": None, "currency": None} if price is None else {"price": str(price), "currency": facts.currency}
