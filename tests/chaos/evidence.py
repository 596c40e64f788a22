"""What the oracle judges, read from the database, and the story of a message that failed."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from django.db.models import QuerySet, Sum

from accounts.choices import WebhookState
from accounts.models import WebhookDelivery
from accounts.security import audit
from campaigns.models import Campaign
from campaigns.models.tally import COUNTED_STATUSES
from messaging.choices import AttemptState, BatchState, FactSource, MessageStatus
from messaging.models import Attempt, Batch, DeliveryReport, Message, ReportInbox, StatDelta
from reports.models import DailyStat
from tests.chaos.answers import Request, judge_requests, recipients_of
from tests.chaos.ledger import Ledger
from tests.chaos.money import unbalanced
from tests.chaos.oracle import Finding, Row, Verdict, compare, differing, examine, miscounted, segments_taken, untold
from tests.chaos.webhooks import FORGED, Listener, undelivered, unheard
from uploads.choices import UploadStatus
from uploads.models import Upload

CLOCK = "%H:%M:%S.%f"
SOME = 5


def judge(
    recipients: Sequence[str],
    requests: Sequence[Request],
    ledger: Ledger | None,
    *,
    listener: Listener | None = None,
    poisoned: Collection[int] = (),
) -> Verdict:
    """All of the database. `recipients`: numbers of the campaign; `requests`: what clients asked for beside it;
    `listener`: who was told of everything."""
    rows = _rows()
    parts = [examine(rows, [*recipients, *recipients_of(requests)], poisoned), judge_requests(requests, rows)]
    if ledger:
        parts.append(compare(rows, ledger.entries))
    verdict = Verdict(unconfirmed=parts[0].unconfirmed)
    for part in parts:
        verdict.lost += part.lost
        verdict.doubled += part.doubled
        verdict.misstated += part.misstated
    verdict.lost += _unread()
    verdict.misstated += _miscounted(rows) + _not_in_statistics(rows) + _untold(rows) + _never_ended()
    verdict.misstated += unbalanced(rows, ledger.entries if ledger else None) + _tampered()
    if listener:
        verdict.lost += undelivered(listener) + unheard(rows, listener.told)
        verdict.misstated += [Finding("a webhook had no good signature")] * listener.calls[FORGED]
    return verdict


def _rows() -> list[Row]:
    campaigns = dict(Campaign.objects.values_list("pk", "bulk_id"))
    refused = set(DeliveryReport.objects.filter(source=FactSource.REFUSAL).values_list("message_id", flat=True))
    return [
        Row(
            message.id,
            message.message_id,
            message.batch_id,
            message.phone_number.removeprefix("+"),
            MessageStatus(message.status),
            message.reason,
            message.segment_count,
            campaigns[message.campaign_id],
            message.id in refused,
        )
        for message in Message.objects.order_by("id").iterator()
    ]


def _miscounted(rows: Sequence[Row]) -> list[Finding]:
    """Of every campaign and every batch."""
    by_campaign: defaultdict[str, list[Row]] = defaultdict(list)
    by_batch: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_campaign[row.campaign].append(row)
        by_batch[row.batch].append(row)
    found = []
    for campaign in Campaign.objects.all():
        name, own = f"campaign {campaign.bulk_id}", by_campaign[campaign.bulk_id]
        found += miscounted(name, campaign.tally, own)
        found += differing(name, {"recipients": campaign.total_recipients}, {"recipients": len(own)})
    for batch in Batch.objects.all():
        found += miscounted(f"batch {batch.pk}", batch.tally, by_batch[batch.pk])
        found += differing(f"batch {batch.pk}", {"rows": batch.size}, {"rows": len(by_batch[batch.pk])})
    return found


def _not_in_statistics(rows: Sequence[Row]) -> list[Finding]:
    """Days, and changes that are not folded into them yet."""
    stated: Counter[str] = Counter()
    for model in (DailyStat, StatDelta):
        sums = model.objects.aggregate(**{name: Sum(name) for name in (*COUNTED_STATUSES, "segments")})
        stated.update({name: total or 0 for name, total in sums.items()})
    counted = Counter(row.status.label for row in rows)
    true = {status: counted[status] for status in COUNTED_STATUSES} | {"segments": segments_taken(rows)}
    return differing("the statistics", stated, true)


def _untold(rows: Sequence[Row]) -> list[Finding]:
    told: defaultdict[int, list[MessageStatus]] = defaultdict(list)
    for number, status in DeliveryReport.objects.order_by("pk").values_list("message_id", "status").iterator():
        told[number].append(MessageStatus(status))
    return [finding for row in rows for finding in untold(row, told[row.number])]


def _unread() -> list[Finding]:
    """Files that were accepted, all of them good ones, and did not come through."""
    uploads = Upload.objects.exclude(status=UploadStatus.READY)
    return [Finding(f"upload {upload.upload_id} is {upload.status} {upload.failure_reason}") for upload in uploads]


def _tampered() -> list[Finding]:
    """Where the chain of the audit log, sealed to its end, does not hold."""
    while audit.seal():
        pass
    return [Finding(f"audit event {fault.position}: {fault.problem}") for fault in audit.verify()]


def is_settled() -> bool:
    """Nothing is left to learn, and nobody holds anything any more."""
    left = (
        Campaign.objects.filter(closed_at=None),
        Batch.objects.exclude(state=BatchState.DONE),
        unsettled_calls(),
        ReportInbox.objects.filter(applied_at=None),
        Upload.objects.filter(status__in=[UploadStatus.UPLOADED, UploadStatus.PROCESSING]),
        WebhookDelivery.objects.filter(state=WebhookState.WAITING),
    )
    return not any(rows.exists() for rows in left)


def unsettled_calls() -> QuerySet[Attempt]:
    return Attempt.objects.filter(state__in=[AttemptState.OPEN, AttemptState.UNKNOWN]).order_by("pk")


def unsettled() -> str:
    """What keeps everything from being settled, in words; some of each kind."""
    campaigns = Campaign.objects.filter(closed_at=None)[:SOME]
    batches = Batch.objects.exclude(state=BatchState.DONE)[:SOME]
    calls = unsettled_calls()[:SOME]
    uploads = Upload.objects.filter(status__in=[UploadStatus.UPLOADED, UploadStatus.PROCESSING])[:SOME]
    lines = [f"campaign {campaign.bulk_id} is {campaign.status}: {campaign.tally}" for campaign in campaigns]
    lines += [f"batch {batch.pk} is {batch.state}: {batch.tally}" for batch in batches]
    lines += [f"call {call.reference} is {call.state}, {call.lookup_count} look-ups" for call in calls]
    lines += [f"upload {upload.upload_id} is {upload.status}" for upload in uploads]
    webhooks = WebhookDelivery.objects.filter(state=WebhookState.WAITING)[:SOME]
    lines += [f"webhook {one} waits until {one.next_attempt_at:{CLOCK}}, {one.attempt_count} tries" for one in webhooks]
    return "\n    ".join(lines)


def _never_ended() -> list[Finding]:
    calls = unsettled_calls()
    return [Finding(f"call {attempt.reference} is still {attempt.state}", attempt.first) for attempt in calls]


def story(finding: Finding) -> str:
    """The finding with every call that may have carried its message, and every report on it."""
    lines = [finding.text]
    if finding.number:
        attempts = Attempt.objects.filter(first__lte=finding.number, last__gte=finding.number).order_by("pk")
        for attempt in attempts:
            ended = attempt.finished_at or attempt.deadline
            lines.append(
                f"    call {attempt.reference} in lease {attempt.epoch} is {attempt.state}: "
                f"{attempt.started_at:{CLOCK}} to {ended:{CLOCK}}, HTTP {attempt.http_status}, {attempt.detail}"
            )
        for report in DeliveryReport.objects.filter(message_id=finding.number).order_by("pk"):
            lines.append(f"    {report.get_source_display()} at {report.received_at:{CLOCK}}: {report}")
    return "\n".join(lines)
