"""The product's own path, in phases one after the other, and as a whole.

In phases, so that each has the machine to itself:

    read      from the request that uploads the file to `ready`: screened, parsed, validated, stored in chunks
    store     from the request that starts the campaign to the last chunk expanded into batches and messages; sending is
              held (`manage.py hold`) meanwhile
    accept    from the release of that hold to the last message accepted (or refused) by the provider, which answers in
              50 ms and keeps its reports back
    report    from the order to push all reports to the last one applied

As a whole, nothing held: from the request that uploads the file, through the one that starts the campaign as soon as
the file is ready, to the last report applied, while reports come REPORT_DELAY_MS after acceptance.

Processor time is taken when the broker's queues are empty again: wake-ups that find nothing left to do cost, too.
Either way the counts must be exactly those of the provider's ledger, or the run ends.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from accounts.security import sending_hold
from accounts.security.sending_hold import HoldKind
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from smsapp.core.enqueue import enqueue
from smsapp.demo.play import TEXT
from tests.benchmarks.counters import is_idle
from tests.benchmarks.processes import Seconds, cpu_seconds, difference
from tests.benchmarks.servers import Wrong
from tests.benchmarks.stand import HELD_BACK_MS, Stand, is_product
from uploads.choices import UploadStatus
from uploads.models import OptOutEvent, Suppression, Upload

REPORT_DELAY_MS = 200
IN_LEDGER = ("delivered", "undelivered", "rejected")
STOPPED = (CampaignStatus.PAUSED, CampaignStatus.CANCELLED, CampaignStatus.FAILED)
READING = (UploadStatus.UPLOADED, UploadStatus.PROCESSING)


@dataclass(frozen=True)
class Phase:
    """`count` rows or messages in `seconds`; `cpu`: seconds of processor time by program."""

    count: int
    seconds: float
    cpu: Seconds

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    @property
    def cpu_us(self) -> dict[str, float]:
        """Microseconds of processor time for each of `count`, by program."""
        return {name: 1e6 * seconds / self.count for name, seconds in self.cpu.items()}

    @property
    def product_cpu_us(self) -> float:
        """Of all programs together, but not of the provider."""
        return sum(cost for name, cost in self.cpu_us.items() if is_product(name))


@dataclass
class Journey:
    """One file on its way. `campaign` and `upload` are as last seen."""

    stand: Stand
    rows: int
    phases: dict[str, Phase] = field(default_factory=dict)
    upload: Upload = field(default_factory=Upload)
    campaign: Campaign = field(default_factory=Campaign)

    def __post_init__(self) -> None:
        self._client = self.stand.client()

    def in_phases(self) -> "Journey":
        before = self._prepare(HELD_BACK_MS)
        sending_hold.hold("The benchmark stores before it sends.", "benchmark")
        self._timed("read", self.read)
        self._timed("store", self._store)
        self._timed("accept", self._accept)
        self._timed("report", self._report)
        self._check(before)
        return self

    def as_a_whole(self) -> "Journey":
        before = self._prepare(REPORT_DELAY_MS)
        self._timed("path", self._go)
        self._check(before)
        return self

    @property
    def messages(self) -> int:
        return self.upload.phone_count

    def read(self) -> None:
        upload_id = next(self._client.upload(self.stand.file_of(self.rows)))["upload_id"]

        def is_read() -> bool:
            self.upload = Upload.objects.get(upload_id=upload_id)
            return self.upload.status not in READING

        self.stand.until(is_read, "the file is not read")
        if self.upload.status != UploadStatus.READY:
            raise Wrong(f"The upload is {self.upload.status}: {self.upload.failure_reason}")

    def start(self) -> None:
        sender, upload_id = self.stand.credentials()["sender_id"], self.upload.upload_id
        bulk = self._client.start_campaign(name="Benchmark", message=TEXT, upload_id=upload_id, sender_id=sender)
        self.campaign = Campaign.objects.get(bulk_id=bulk["bulk_id"])

    def is_settled(self) -> bool:
        return self._is_accepted() and not self.campaign.sent

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Look at the campaign until the condition holds of it."""

        def look() -> bool:
            self.campaign.refresh_from_db()
            if self.campaign.status in STOPPED:
                raise Wrong(f"The campaign is {self.campaign.status}: {self.campaign.status_detail}")
            return condition()

        self.stand.until(look, what)

    def _store(self) -> None:
        self.start()
        self.until(lambda: not self.campaign.waiting, "messages are not stored")

    def _accept(self) -> None:
        sending_hold.release(HoldKind.OPERATOR)
        for _ in range(self.campaign.chunk_count):  # as the expansion did, whose wake-ups found sending held
            enqueue("messaging.dispatch_campaigns")
        self.until(self._is_accepted, "messages are not accepted")

    def _report(self) -> None:
        pushing = threading.Thread(target=self.stand.push_reports, daemon=True)
        pushing.start()
        self.until(self.is_settled, "reports are not applied")
        pushing.join()

    def _go(self) -> None:
        self.read()
        self.start()
        self.until(self.is_settled, "the campaign is not through")

    def _is_accepted(self) -> bool:
        return not (self.campaign.waiting or self.campaign.queued or self.campaign.unknown)

    def _prepare(self, report_delay_ms: float) -> dict[str, int]:
        """What the ledger says before. Nobody is left out whom the provider called opted out in an earlier round."""
        Suppression.objects.all().delete()
        OptOutEvent.objects.all().delete()
        self.stand.file_of(self.rows)
        self.stand.delay_reports(report_delay_ms)
        self._client = self.stand.client()
        return self.stand.ledger()

    def _timed(self, name: str, act: Callable[[], None]) -> None:
        children = self.stand.supervisor.children
        cpu, began = cpu_seconds(children), time.monotonic()
        act()
        seconds = time.monotonic() - began
        self.stand.until(partial(is_idle, self.stand), "the broker's queues are not empty")
        count = self.rows if name == "read" else self.messages
        self.phases[name] = Phase(count, seconds, difference(cpu, cpu_seconds(children)))

    def _check(self, before: dict[str, int]) -> None:
        """Raises Wrong unless every message has come to the end that the provider gave it."""
        counted = {name: getattr(self.campaign, name) for name in IN_LEDGER}
        after = self.stand.ledger()
        if wrong := mismatch(self.messages, counted, before, after):
            raise Wrong(wrong)


def mismatch(messages: int, counted: Mapping[str, int], before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """What is wrong with the counters of a campaign, by the provider's ledger before it and after; empty if nothing."""
    theirs = {name: after[name] - before[name] for name in IN_LEDGER}
    if sum(counted.values()) != messages:
        return f"{messages} messages, of which {counted} are counted"
    if counted != theirs:
        return f"{counted} are counted, {theirs} are in the provider's ledger"
    return f"{after['duplicates']} messages were accepted twice" if after["duplicates"] else ""
