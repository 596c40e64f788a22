"""One message's story in plain words: from its row to the last delivery report."""

from dataclasses import dataclass
from datetime import datetime

from messaging.choices import AttemptState, FactSource, MessageStatus, Reason
from messaging.models import Attempt, Batch, DeliveryReport, Message
from uploads.choices import AudienceSource

SOURCES = {
    FactSource.ANSWER: "in the answer to our call",
    FactSource.PUSH: "in a delivery report it pushed to us",
    FactSource.POLL: "in a delivery report we fetched",
    FactSource.LOOKUP: "when we looked the message up",
    FactSource.REFUSAL: "when it refused it after it had taken it, which is not charged",
    FactSource.DEADLINE: "by the deadline for delivery reports",
}

STATUS_TITLES = {
    MessageStatus.SENT: "Taken by the provider",
    MessageStatus.DELIVERED: "Delivered",
    MessageStatus.UNDELIVERED: "Not delivered",
    MessageStatus.REJECTED: "Rejected by the provider",
    MessageStatus.FAILED: "Given up",
    MessageStatus.EXPIRED: "Expired before it could be handed over",
    MessageStatus.CANCELLED: "Cancelled",
    MessageStatus.SUPPRESSED: "Not sent: suppressed",
    MessageStatus.UNKNOWN: "Outcome unknown",
    MessageStatus.UNCONFIRMED: "Closed without proof",
}

ATTEMPTS = {
    AttemptState.OPEN: ("sending", "Being handed over", "The call to the gateway is in flight."),
    AttemptState.ANSWERED: ("sent", "Handed over", "The gateway answered."),
    AttemptState.NOT_SENT: ("waiting", "Tried, not sent", "The gateway did not take it, for certain."),
    AttemptState.UNKNOWN: (
        "unknown",
        "Handed over, the answer was lost",
        "It is looked up at the provider before anything else happens, so it cannot be sent twice.",
    ),
    AttemptState.RESOLVED: (
        "sent",
        "Handed over, the answer was lost",
        "It was looked up at the provider since, and cleared up.",
    ),
}

#: States we give a message ourselves, or that a deadline gives it: no delivery report tells of them.
OWN_DECISIONS = {
    MessageStatus.FAILED,
    MessageStatus.EXPIRED,
    MessageStatus.CANCELLED,
    MessageStatus.SUPPRESSED,
    MessageStatus.UNCONFIRMED,
}


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """`tone` names the status whose colour it wears; `facts` are (label, value) pairs for those who want them."""

    at: datetime
    tone: str
    title: str
    detail: str
    facts: tuple[tuple[str, str], ...] = ()


def message_timeline(message: Message) -> list[TimelineEntry]:
    """In order of time. `message.campaign.audience` should be loaded; three small indexed queries besides."""
    spanning = _attempts_spanning(message)
    batch = spanning[0].batch if spanning else Batch.objects.get(pk=message.batch_id)
    reports = list(DeliveryReport.objects.filter(message=message.id).order_by("id"))
    entries = [_origin(message), _prepared(message, batch)]
    entries += [_attempt(attempt) for attempt in _own(message, spanning)]
    entries += [_report(report) for report in reports]
    status = MessageStatus(message.status)
    if status in OWN_DECISIONS and not any(report.status == status for report in reports):
        entries.append(
            TimelineEntry(
                message.done_at or batch.created_at, status.label, STATUS_TITLES[status], message.error_message
            )
        )
    return sorted(entries, key=lambda entry: entry.at)


def _origin(message: Message) -> TimelineEntry:
    campaign = message.campaign
    upload = getattr(campaign.audience, "upload", None)
    if campaign.audience.source == AudienceSource.UPLOAD and upload is not None:
        detail = f"Row {message.row} of {upload.original_filename}."
    else:
        detail = f"Number {message.row} of the request."
    return TimelineEntry(campaign.created_at, "waiting", "Accepted", detail)


def _prepared(message: Message, batch: Batch) -> TimelineEntry:
    segments = "1 segment" if message.segment_count == 1 else f"{message.segment_count} segments"
    detail = f"The text was filled in: {segments}." if message.segment_count else ""
    facts = [("Route", batch.route_note)] if batch.route_note else []
    if batch.release_at:
        facts.append(("Held for quiet hours until", f"{batch.release_at:%d %b %Y, %H:%M} UTC"))
    if batch.waits_for_canary:
        facts.append(("Waits", "for what becomes of the campaign's first recipients"))
    return TimelineEntry(batch.created_at, "queued", "Prepared for sending", detail, tuple(facts))


def _attempts_spanning(message: Message) -> list[Attempt]:
    spanning = Attempt.objects.filter(batch_id=message.batch_id, first__lte=message.id, last__gte=message.id)
    return list(spanning.select_related("batch").order_by("id"))


def _own(message: Message, attempts: list[Attempt]) -> list[Attempt]:
    """The calls it was in. A later call of its batch may span it without holding it: it had left by then."""
    left_at = min((at for at in (message.sent_at, message.done_at) if at), default=None)
    if left_at is None:
        return attempts
    status = MessageStatus(message.status)
    # A provider's clock may be behind ours: the first call of a message that was handed over is always its own.
    keep = 0 if status in (MessageStatus.SUPPRESSED, MessageStatus.FAILED) else 1
    return attempts[:keep] + [attempt for attempt in attempts[keep:] if attempt.started_at <= left_at]


def _attempt(attempt: Attempt) -> TimelineEntry:
    tone, title, detail = ATTEMPTS[AttemptState(attempt.state)]
    facts = [("Gateway", attempt.gateway)]
    if attempt.http_status:
        facts.append(("HTTP status", str(attempt.http_status)))
    if attempt.detail:
        facts.append(("Detail", attempt.detail))
    return TimelineEntry(attempt.started_at, tone, title, detail, tuple(facts))


def _report(report: DeliveryReport) -> TimelineEntry:
    status = MessageStatus(report.status)
    source = FactSource(report.source)
    said = "Decided" if source is FactSource.DEADLINE else "The provider said so"
    reason = f"{Reason(report.reason).label}. " if report.reason else ""
    facts = [("Provider status", report.provider_status)]
    if report.error_code not in ("", "0"):
        facts.append(("Error", f"{report.error_code} {report.error_description}".strip()))
    if report.done_at:
        facts.append(("Provider's time", f"{report.done_at:%d %b %Y, %H:%M:%S} UTC"))
    return TimelineEntry(
        at=report.received_at,
        tone=status.label,
        title=STATUS_TITLES.get(status, status.label.capitalize()),
        detail=f"{reason}{said} {SOURCES[source]}.",
        facts=tuple((label, value) for label, value in facts if value),
    )
