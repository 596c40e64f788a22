"""`python -m tests.benchmarks.screens MESSAGES`, on an empty database: see `dashboard.py`. Prints JSON.

The messages are made by the database itself, in campaigns of CAMPAIGN_SIZE whose counters are what their rows say.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from statistics import median
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.dashboard.workspace import site_url  # noqa: E402
from campaigns.choices import CampaignKind, CampaignStatus  # noqa: E402
from campaigns.models import Campaign  # noqa: E402
from messaging.choices import AttemptState, BatchState, Lane, MessageStatus  # noqa: E402
from messaging.ids import MAX_IN_BATCH, batch_range, public_id  # noqa: E402
from messaging.models import Attempt, Batch  # noqa: E402
from messaging.outcomes.settlement import write_statistics  # noqa: E402
from reports.rollup import fold  # noqa: E402
from reports.selectors import campaign_progress  # noqa: E402
from smsapp.demo.account import DemoAccount, ensure_demo_account  # noqa: E402
from tests.support.pages import Browser  # noqa: E402
from uploads.choices import AudienceSource  # noqa: E402
from uploads.models import Audience  # noqa: E402

CAMPAIGN_SIZE = 100_000
BATCH_SIZE = 1000
OVERVIEW = "overview"
REPEATED = 15
WARMED_UP = 3
FAILED_EVERY = 50  # messages
#: One message of each batch after the other; the FAILED_EVERY-th is undelivered.
FILL = f"""
    INSERT INTO messaging_message
        (id, campaign_id, row, phone_number, variables, status, reason, detail, segment_count, sent_at, done_at)
    SELECT b.id * {MAX_IN_BATCH} + n, b.campaign_id, n + 1, '+49151' || lpad((b.id * 1000 + n)::text, 8, '0'),
        '["Anna","A-1"]', CASE WHEN mod(n, {FAILED_EVERY}) = 0 THEN %s ELSE %s END,
        CASE WHEN mod(n, {FAILED_EVERY}) = 0 THEN 'unreachable' ELSE '' END, '', 1, now(), now()
    FROM messaging_batch b, generate_series(0, b.size - 1) n WHERE b.campaign_id = %s
"""


def fill(demo: DemoAccount, messages: int) -> None:
    while messages > 0:
        size = min(messages, CAMPAIGN_SIZE)
        _fill_campaign(demo, size)
        messages -= size
    while fold():
        pass
    with connection.cursor() as cursor:
        for table in ("messaging_message", "messaging_batch", "messaging_attempt", "sms_campaigns"):
            cursor.execute(f"VACUUM ANALYZE {table}")


def _fill_campaign(demo: DemoAccount, size: int) -> None:
    now = timezone.now()
    number = Campaign.objects.count() + 1
    audience = Audience.objects.create(account=demo.account, source=AudienceSource.UPLOAD, columns=["name", "order"])
    campaign = Campaign.objects.create(
        account=demo.account,
        user=demo.user,
        kind=CampaignKind.BULK,
        bulk_id=f"bulk-{number}",
        name=f"No. {number}",
        message="Hi {name}, your order {order} is ready.",
        sender_id=demo.sender,
        audience=audience,
        status=CampaignStatus.COMPLETED,
        started_at=now - timedelta(hours=1),
        completed_at=now,
        closed_at=now,
        total_recipients=size,
        **_tally(size),
    )
    batches = Batch.objects.bulk_create(
        Batch(
            account=demo.account,
            campaign=campaign,
            chunk=part,
            part=0,
            mode=campaign.mode,
            lane=Lane.CAMPAIGNS,
            turn=part,
            size=BATCH_SIZE,
            state=BatchState.DONE,
            **_tally(min(BATCH_SIZE, size - BATCH_SIZE * part)),
        )
        for part in range(-(-size // BATCH_SIZE))
    )
    write_statistics({batch.pk: batch.tally for batch in batches}, {})
    Attempt.objects.bulk_create(_attempt(batch) for batch in batches)
    with connection.cursor() as cursor:
        cursor.execute(FILL, [int(MessageStatus.UNDELIVERED), int(MessageStatus.DELIVERED), campaign.pk])


def _tally(size: int) -> dict[str, int]:
    failed = -(-size // FAILED_EVERY)
    return {"delivered": size - failed, "undelivered": failed}


def _attempt(batch: Batch) -> Attempt:
    first, last = batch_range(batch.pk)
    return Attempt(
        batch=batch,
        gateway="simulator",
        reference=f"bench-{batch.pk}",
        epoch=1,
        first=first,
        last=last,
        message_count=batch.size,
        state=AttemptState.ANSWERED,
        deadline=timezone.now(),
        finished_at=timezone.now(),
    )


def addresses() -> dict[str, str]:
    """Of a campaign in the middle, and of messages in it."""
    campaign = Campaign.objects.order_by("pk")[Campaign.objects.count() // 2]
    batch = campaign.batches.order_by("pk")[campaign.batches.count() // 2]
    first, _ = batch_range(batch.pk)
    live, mark = reverse("campaign-live", args=[campaign.bulk_id]), campaign_progress(campaign, with_rate=False).mark
    page, found = reverse("campaign-detail", args=[campaign.bulk_id]), site_url("admin:messaging_message_changelist")
    return {
        OVERVIEW: reverse("overview"),
        "reports": reverse("reports"),
        "campaigns": reverse("campaign-list"),
        "campaign": page,
        "campaign, further on": f"{page}?after={first}",
        "campaign, what failed": f"{page}?status=undelivered",
        "campaign, live part": f"{live}?shown={mark}",
        "campaign, live, all of it": live,
        "message": reverse("message-detail", args=[public_id(first)]),
        "console, front page": site_url("admin:index"),
        "console, campaigns": site_url("admin:campaigns_campaign_changelist"),
        "console, search by number": f"{found}?q=%2B49151{batch.pk * 1000:08}",
        "console, search by id": f"{found}?q={public_id(first)}",
    }


def measured(client: Browser) -> list[dict[str, Any]]:
    return [_page(client, name, address) for name, address in addresses().items()]


def _page(client: Browser, name: str, address: str) -> dict[str, Any]:
    fetches, whole = [], []
    for _ in range(WARMED_UP + REPEATED):
        began = time.perf_counter()
        with _timed_queries() as queries:
            response = client.get(address)
        whole.append(time.perf_counter() - began)
        if response.status_code != 200:
            sys.exit(f"{address} answered {response.status_code}")
        fetches.append(queries)
    medians = [
        (1000 * median(seconds for seconds, _ in same), same[0][1]) for same in zip(*fetches[WARMED_UP:], strict=True)
    ]
    slowest, statement = max(medians)
    total = sum(milliseconds for milliseconds, _ in medians)
    server = 1000 * median(whole[WARMED_UP:])
    return {
        "name": name,
        "total": total,
        "slowest": slowest,
        "statement": statement,
        "queries": len(medians),
        "server": server,
    }


@contextmanager
def _timed_queries() -> Iterator[list[tuple[float, str]]]:
    """(seconds, statement) of each query while the context lasts."""
    queries: list[tuple[float, str]] = []

    def time_one(execute: Callable[..., Any], statement: str, *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(statement, *arguments)
        finally:
            queries.append((time.perf_counter() - began, statement))

    with connection.execute_wrapper(time_one):
        yield queries


def main(messages: int) -> dict[str, Any]:
    call_command("migrate", interactive=False, verbosity=0)
    demo = ensure_demo_account()
    client = Browser(SERVER_NAME="127.0.0.1")
    client.force_login(demo.user)
    few = max(messages // 100, 1)
    fill(demo, few)
    at_few = measured(client)
    fill(demo, messages - few)
    return {"counts": [few, messages], "few": at_few, "many": measured(client)}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
