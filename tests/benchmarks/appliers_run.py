"""How fast waiting report bodies are applied, measured on a database of its own: prints JSON as its last line.

    python -m tests.benchmarks.appliers_run REPORTS WORKERS

As many reports wait as they come: a hundred in a body from Infobip, one in a body from Twilio, on messages of a
campaign in the order in which they were sent or in none, and on single sends. Then so many processes apply them, as the
task of a report worker does.
"""

import json
import multiprocessing
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import django

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Barrier

BUCKET = 100  # reports in a body: Infobip's default
IN_CALL = 10  # messages in a call to Twilio
HALF = 500  # of a batch: what a worker takes at once begins and ends in the middle of one
LOOK = 0.01  # seconds until a worker that has found nothing looks again
HUNDREDS = "a hundred in a body"
IN_ORDER, SHUFFLED, SINGLES = "one, in order of sending", "one, in no order", "one, of single sends"
_starts = count()


def main() -> None:
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    _make_gateways()
    reports, workers = (int(text) for text in sys.argv[1:])
    kinds = (HUNDREDS, IN_ORDER, SHUFFLED, SINGLES)
    print(json.dumps({"runs": [_measure(kind, reports, n) for kind in kinds for n in sorted({1, workers})]}))


def _measure(kind: str, reports: int, workers: int) -> dict[str, Any]:
    from messaging.models import ReportInbox

    numbers = _singles(reports) if kind == SINGLES else _campaign(reports)
    _store(kind, numbers)
    bodies = ReportInbox.objects.filter(applied_at=None).count()
    _vacuum()
    seconds, cpu_seconds = _apply_by(workers)
    return {
        "kind": kind,
        "workers": workers,
        "bodies": bodies,
        "reports": len(numbers),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "wrong": _wrong(numbers),
    }


def _make_gateways() -> None:
    from messaging.choices import GatewayKind
    from messaging.models import Gateway

    twilio = {"account_sid": f"AC{'2' * 32}", "auth_token": "secret"}
    for kind, secrets in ((GatewayKind.INFOBIP, {"api_key": "secret"}), (GatewayKind.TWILIO, twilio)):
        row = Gateway(name=kind, kind=kind, base_url="http://127.0.0.1:9", is_enabled=True)
        row.secrets = secrets
        row.save()


def _campaign(size: int) -> list[int]:
    """Numbers of its messages, which a provider has taken in calls of ten."""
    from messaging.models import Message
    from messaging.sending.expansion import expand_ready
    from tests.support.factories import make_campaign

    campaign = make_campaign(count=size)
    while expand_ready():
        pass
    return _hand_over(list(Message.objects.filter(campaign=campaign).order_by("pk").values_list("pk", flat=True)))


def _singles(size: int) -> list[int]:
    """The same of campaigns of one message, written straight into the tables."""
    from campaigns.choices import CampaignKind, CampaignStatus
    from campaigns.models import Campaign
    from messaging.choices import Lane
    from messaging.ids import make_message_pk
    from messaging.models import Batch, Message
    from tests.support.factories import AccountFactory, MembershipFactory, make_audience

    account = AccountFactory()
    user, audience, start = MembershipFactory(account=account).user, make_audience(account, 1), next(_starts)
    campaigns = Campaign.objects.bulk_create(
        Campaign(
            account=account,
            user=user,
            audience=audience,
            kind=CampaignKind.SINGLE,
            status=CampaignStatus.RUNNING,
            message="Code",
            total_recipients=1,
            chunk_count=1,
            chunks_done=1,
            queued=1,
            bulk_id=f"bulk-{start}-{place}",
        )
        for place in range(size)
    )
    batches = Batch.objects.bulk_create(
        Batch(
            account=account,
            campaign=campaign,
            chunk=0,
            part=0,
            mode="live",
            lane=Lane.SINGLES,
            turn=0,
            size=1,
            queued=1,
        )
        for campaign in campaigns
    )
    Message.objects.bulk_create(
        Message(
            id=make_message_pk(batch.pk, 0),
            campaign_id=batch.campaign_id,
            row=1,
            phone_number="+4915112345678",
            segment_count=1,
        )
        for batch in batches
    )
    return _hand_over([make_message_pk(batch.pk, 0) for batch in batches])


def _hand_over(numbers: Sequence[int]) -> list[int]:
    from django.utils import timezone

    from messaging.choices import AttemptState
    from messaging.ids import batch_of
    from messaging.models import Attempt
    from messaging.outcomes import settlement

    for some in _slices(numbers, 1000):
        settlement.apply([], accepted=some)
    now = timezone.now()
    among: dict[int, list[int]] = {}
    for number in numbers:
        among.setdefault(batch_of(number), []).append(number)
    calls = [(batch, call) for batch, own in among.items() for call in _slices(own, IN_CALL)]
    Attempt.objects.bulk_create(
        Attempt(
            batch_id=batch,
            gateway="twilio",
            reference=f"call-{call[0]}",
            epoch=1,
            first=call[0],
            last=call[-1],
            message_count=len(call),
            state=AttemptState.ANSWERED,
            deadline=now,
            finished_at=now,
        )
        for batch, call in calls
    )
    return list(numbers)


def _store(kind: str, numbers: Sequence[int]) -> None:
    from messaging.choices import FactSource
    from messaging.models import ReportInbox

    if kind == HUNDREDS:
        gateway, bodies = "infobip", [(_by_infobip(some), len(some)) for some in _slices(numbers, BUCKET)]
    else:
        among = [*numbers[HALF:], *numbers[:HALF]]
        if kind == SHUFFLED:
            random.Random(1).shuffle(among)
        gateway, bodies = "twilio", [(_by_twilio(number), 1) for number in among]
    ReportInbox.objects.bulk_create(
        ReportInbox(gateway=gateway, source=FactSource.PUSH, body=body, report_count=size) for body, size in bodies
    )


def _by_infobip(numbers: Iterable[int]) -> bytes:
    from messaging.ids import public_id

    delivered = {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"}
    results = [{"messageId": public_id(number), "status": delivered, "smsCount": 1} for number in numbers]
    return json.dumps({"results": results}).encode()


def _by_twilio(number: int) -> bytes:
    from messaging.ids import public_id

    sid = f"SM{number:032x}"
    return urlencode(
        {
            "smsapp_id": public_id(number),
            "MessageSid": sid,
            "SmsSid": sid,
            "AccountSid": f"AC{'2' * 32}",
            "MessageStatus": "delivered",
            "SmsStatus": "delivered",
            "From": "DemoShop",
            "To": "+4915112345678",
            "ApiVersion": "2010-04-01",
        }
    ).encode()


def _slices(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))


def _vacuum() -> None:
    """As autovacuum leaves the tables of an installation that has run for a while."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _apply_by(workers: int) -> tuple[float, float]:
    """Seconds until nothing waits, and of processor time that the workers took."""
    from django.db import connections

    connections.close_all()
    forked = multiprocessing.get_context("fork")
    barrier, used = forked.Barrier(workers + 1), forked.SimpleQueue()
    processes = [forked.Process(target=_work, args=(barrier, used)) for _ in range(workers)]
    for process in processes:
        process.start()
    barrier.wait()
    start = time.perf_counter()
    for process in processes:
        process.join()
    return time.perf_counter() - start, sum(used.get() for _ in processes)


def _work(barrier: "Barrier", used: "SimpleQueue[float]") -> None:
    from messaging.gateways import registry
    from messaging.models import ReportInbox
    from messaging.outcomes import report_inbox

    for name in registry.known():  # a worker has made them long before
        registry.get(name)
    report_inbox.wake = lambda *args, **options: None  # type: ignore[assignment]
    waiting = ReportInbox.objects.filter(applied_at=None, failure_count=0)
    barrier.wait()
    start = time.process_time()
    while waiting.exists():
        if not report_inbox.apply_waiting():
            time.sleep(LOOK)
    used.put(time.process_time() - start)


def _wrong(numbers: Sequence[int]) -> list[str]:
    """Each of the messages is delivered, and counted once."""
    from django.db.models import Sum

    from campaigns.models import Campaign
    from messaging.choices import MessageStatus
    from messaging.models import Batch, DeliveryReport, Message, ReportInbox

    delivered = Message.objects.filter(status=MessageStatus.DELIVERED).count()
    found = {
        "delivery reports": DeliveryReport.objects.count(),
        "batches": Batch.objects.aggregate(count=Sum("delivered"))["count"],
        "campaigns": Campaign.objects.aggregate(count=Sum("delivered"))["count"],
    }
    wrong = [f"{name}: {value} instead of {delivered}" for name, value in found.items() if value != delivered]
    span = Message.objects.filter(pk__gte=numbers[0], pk__lte=numbers[-1])
    if left := span.exclude(status=MessageStatus.DELIVERED).count():
        wrong.append(f"{left} messages are not delivered")
    if left := ReportInbox.objects.exclude(error="", unmatched_count=0, applied_at__isnull=False).count():
        wrong.append(f"{left} bodies could not be applied")
    return wrong


if __name__ == "__main__":
    main()
