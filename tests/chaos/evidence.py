"""What the oracle compares, read from the database and from the simulator, and the story of a message that failed."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import httpx2
import orjson
from django.db.models import Count, QuerySet

from campaigns.models import Campaign
from messaging.choices import AttemptState, BatchState, MessageStatus
from messaging.models import Attempt, Batch, DeliveryReport, Message, ReportInbox
from tests.chaos.oracle import Entry, Finding, Row, Verdict, compare, miscounted

PAGE = 20_000
CLOCK = "%H:%M:%S.%f"


class Ledger:
    """The simulator's word. `calls`: references of calls of which it accepted something."""

    def __init__(self, url: str) -> None:
        self.entries: list[Entry] = []
        self.calls: set[str] = set()
        for line in self._lines(url):
            self.entries.append(Entry(line["id"], line["to"], line["kind"], line["times_accepted"]))
            self.calls.add(line["reference"])

    @staticmethod
    def _lines(url: str) -> Iterator[dict]:
        offset, count = 0, PAGE
        while count == PAGE:
            query = {"offset": offset, "limit": PAGE}
            answer = httpx2.get(f"{url}/simulator/messages", params=query, timeout=60, trust_env=False)
            lines = answer.raise_for_status().content.splitlines()
            yield from map(orjson.loads, lines)
            count = len(lines)
            offset += count


def judge(campaign: Campaign, ledger: Ledger, recipients: list[str]) -> Verdict:
    rows = _rows(campaign)
    verdict = compare(rows, ledger.entries, recipients)
    verdict.misstated += miscounted(f"campaign {campaign.pk}", campaign.tally, rows)
    by_batch: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_batch[row.batch].append(row)
    for batch in Batch.objects.filter(campaign=campaign):
        verdict.misstated += miscounted(f"batch {batch.pk}", batch.tally, by_batch[batch.pk])
        if batch.size != len(by_batch[batch.pk]):
            verdict.misstated.append(Finding(f"batch {batch.pk} of {batch.size} has {len(by_batch[batch.pk])} rows"))
    verdict.misstated += _told_twice() + _never_ended()
    return verdict


def _rows(campaign: Campaign) -> list[Row]:
    return [
        Row(
            message.id, message.message_id, message.batch_id, message.phone_number.removeprefix("+"),
            MessageStatus(message.status), message.reason,
        )
        for message in Message.objects.filter(campaign=campaign).order_by("id").iterator()
    ]  # fmt: skip


def _told_twice() -> list[Finding]:
    """A message reaches each of these at most once by what a provider says."""
    told = DeliveryReport.objects.filter(
        status__in=[MessageStatus.DELIVERED, MessageStatus.UNDELIVERED, MessageStatus.REJECTED]
    )
    repeated = told.values("message_id", "status").annotate(times=Count("id")).filter(times__gt=1)
    return [
        Finding(f"message {line['message_id']} has {line['times']} delivery reports of one status", line["message_id"])
        for line in repeated
    ]


def is_settled(campaign: Campaign) -> bool:
    """Nothing is left to learn, and nobody holds anything any more."""
    batches = Batch.objects.filter(campaign=campaign).exclude(state=BatchState.DONE)
    return campaign.closed_at is not None and not unsettled_calls().exists() and not batches.exists()


def unsettled_calls() -> QuerySet[Attempt]:
    return Attempt.objects.filter(state__in=[AttemptState.OPEN, AttemptState.UNKNOWN]).order_by("pk")


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


def faults_met(ledger: Ledger) -> dict[str, int]:
    """How often each kind of misbehaviour and of broken call reached us, by what the calls left behind."""
    met = Counter(_kind_of(attempt, attempt.reference in ledger.calls) for attempt in Attempt.objects.iterator())
    bodies = Counter(bytes(body) for body in ReportInbox.objects.values_list("body", flat=True).iterator())
    met["report_repeat"] = sum(count > 1 for count in bodies.values())
    del met[""]
    return dict(sorted(met.items()))


def _kind_of(attempt: Attempt, is_accepted: bool) -> str:
    """`is_accepted`: the ledger knows the call. Empty for one that went well."""
    prefix = "accept" if is_accepted else "error"
    by_detail = {
        "The process that": f"killed_in_call_{'accepted' if is_accepted else 'not_accepted'}",
        "ReadTimeout": f"{prefix}_hang",
        "Read": f"{prefix}_reset",
        "RemoteProtocol": f"{prefix}_reset",
        "The answer cannot": "truncated_json",
        "The lease was": "too_late_to_begin",
        "Connect": "not_connected",
    }
    by_status = {500: f"{prefix}_500", 503: "unavailable_503", 429: "throttle"}
    if attempt.http_status in by_status:
        return by_status[attempt.http_status]
    if "missing in the answer" in attempt.detail:
        return "omit_ids"
    return next((kind for start, kind in by_detail.items() if attempt.detail.startswith(start)), attempt.detail)
