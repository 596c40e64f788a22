"""What waits for long, for a report, a look-up or an endpoint that is away, is not read again by every task of beat.

On PostgreSQL each statement of a task is executed and judged by the rows that it reads, beside `test_plans.py`, whose
rows may not leave. On SQLite, which plans without knowing how many rows there are, no task walks a large table, nor an
index of all of its rows.
"""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import (
    ApiUsageLog,
    AuditEvent,
    IdempotencyKey,
    LedgerEntry,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.choices import AttemptState, BatchState, Lane
from messaging.models import Attempt, Batch, DeliveryReport, InboundMessage, Message, ProviderReference, ReportInbox
from messaging.sending.expansion import expand_ready
from smsapp.celery import app
from smsapp.queues import TASK_QUEUES
from tests.support.factories import AccountFactory, make_campaign
from tests.support.query_plans import Plans, copies

pytestmark = pytest.mark.django_db

FINISHED = int(os.environ.get("PLAN_ROWS", "500000")) // 5
WAITING = 20_000
MOST_READ = 6000  # rows by one scan
FIRST = 10_000_000
#: They read what they are there for.
EXCEPT = {
    "messaging.preflight": "is given an id",
    "smsapp.pulse": "is given a queue, and reads nothing",
    "uploads.parse": "is given an id",
}
LOOKS_AT = {"messaging.measure_health": 80_000}  # the newest, a fixed number


def build() -> None:
    """Finished rows, and WAITING of each kind that has to wait for hours."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
    account, now = AccountFactory(), timezone.now()
    done = make_campaign(account, count=1, kind="single")
    expand_ready()
    later = "now() + interval '1 day'"
    Campaign.objects.filter(pk=done.pk).update(
        status=CampaignStatus.COMPLETED, closed_at=now, completed_at=now, queued=0, delivered=1, chunks_done=1
    )
    batch = Batch.objects.get(campaign=done)
    Batch.objects.filter(pk=batch.pk).update(
        lane=Lane.SINGLES, queued=0, delivered=1, state=BatchState.DONE, gateway="simulator", report_deadline=now
    )
    attempt = Attempt.objects.create(
        batch=batch,
        gateway="simulator",
        reference="call-0",
        epoch=1,
        first=1,
        last=1,
        message_count=1,
        state=AttemptState.ANSWERED,
        deadline=now,
        finished_at=now,
    )
    body = ReportInbox.objects.create(gateway="simulator", source="push", body=b"{}", applied_at=now)
    endpoint = WebhookEndpoint.objects.create(
        account=account, endpoint_id="we-1", url="https://x.test/", kind="endpoint"
    )
    delivery = WebhookDelivery.objects.create(
        endpoint=endpoint, event_id="evt-0", event_type="message.status", body="{}", state="delivered"
    )
    act = AuditEvent.objects.create(account=account, action="campaign.paused", position=1)
    for row in (done, batch, attempt, body, delivery, act):
        row.refresh_from_db()
    copies(done, FINISHED, id=f"{FIRST} + n", bulk_id="'old-' || n")
    copies(batch, FINISHED, id=f"{FIRST} + n", campaign_id=f"{FIRST} + n")
    copies(attempt, FINISHED, id=f"{FIRST} + n", batch_id=f"{FIRST} + n", reference="'old-' || n")
    copies(body, FINISHED, id=f"{FIRST} + n")
    copies(delivery, FINISHED, id=f"{FIRST} + n", event_id="'evt-' || n")
    copies(act, FINISHED, id=f"{FIRST} + n", position="n + 1")
    start = FIRST + FINISHED
    silent = {"delivered": "0", "sent": "1"}
    copies(done, WAITING, id=f"{start} + n", bulk_id="'silent-' || n", closed_at="NULL", **silent)
    copies(
        batch,
        WAITING,
        id=f"{start} + n",
        campaign_id=f"{start} + n",
        report_check_at="NULL",
        report_check_count="6",
        report_deadline=later,
        **silent,
    )
    copies(
        batch,
        WAITING,
        id=f"{start + WAITING} + n",
        campaign_id=f"{start} + n",
        part="1",
        report_check_at=later,
        report_deadline=later,
        **silent,
    )
    held = {"delivered": "0", "queued": "1"}
    running = {"status": f"'{CampaignStatus.RUNNING}'", "completed_at": "NULL", "closed_at": "NULL"}
    copies(done, WAITING, id=f"{start + WAITING} + n", bulk_id="'quiet-' || n", **running, **held)
    copies(
        batch,
        WAITING,
        id=f"{start + 2 * WAITING} + n",
        campaign_id=f"{start + WAITING} + n",
        release_at=later,
        state=f"'{BatchState.DEFERRED}'",
        report_deadline="NULL",
        **held,
    )
    copies(
        attempt,
        WAITING,
        id=f"{start} + n",
        batch_id=f"{start} + n",
        reference="'lost-' || n",
        state=f"'{AttemptState.UNKNOWN}'",
        next_lookup_at=later,
    )
    copies(body, WAITING, id=f"{start} + n", applied_at="NULL", failure_count="3", next_attempt_at=later)
    copies(body, WAITING, id=f"{start + WAITING} + n", unmatched_count="1", rematch_at=later)
    copies(delivery, WAITING, id=f"{start} + n", event_id="'w-' || n", state="'waiting'", next_attempt_at=later)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = origin")
        for row in (done, batch, attempt, body, delivery, act):
            cursor.execute(f"ANALYZE {row._meta.db_table}")


#: Tables that grow with what was sent or asked, for ever or for as long as it is kept.
LARGE = (
    Attempt,
    AuditEvent,
    Batch,
    Campaign,
    DeliveryReport,
    ApiUsageLog,
    IdempotencyKey,
    InboundMessage,
    LedgerEntry,
    Message,
    ProviderReference,
    ReportInbox,
    WebhookAttempt,
    WebhookDelivery,
)
PARTIAL = {index.name for model in apps.get_models() for index in model._meta.indexes if index.condition is not None}


def walked(sql: str, params: Any) -> Iterator[str]:
    """The large tables that SQLite would walk for a statement, itself or by an index of all rows."""
    names = {model._meta.db_table for model in LARGE}
    by_alias = {alias: table for table, alias in re.findall(r'"?(\w+)"? (?:AS )?"?([A-Z]\d+|[a-z])"?(?=[ ,)])', sql)}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        steps = [row[3] for row in cursor.fetchall()]
    for step in steps:
        found = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
        if found and by_alias.get(found[1], found[1]) in names and found[2] not in PARTIAL:
            yield step


def too_many_rows(name: str) -> list[str]:
    plans = Plans(LOOKS_AT.get(name, MOST_READ))
    run(name, plans)
    return plans.too_much


def walks(name: str) -> list[str]:
    found: list[str] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        is_question = sql.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH"))
        if is_question and not many and "WHERE" in sql:  # without, the first or last row is meant
            found.extend(f"{step}\n    {sql[:600]}" for step in walked(sql, params))
        return execute(sql, params, many, context)

    run(name, explain)
    return found


def run(name: str, watch: Callable[..., Any]) -> None:
    with transaction.atomic(), connection.execute_wrapper(watch):
        app.tasks[name]()
        transaction.set_rollback(True)


def test_no_task_reads_what_has_to_wait() -> None:
    app.loader.import_default_modules()
    if connection.vendor == "postgresql":
        build()
    else:
        make_campaign(count=3)
        expand_ready()
    judge = too_many_rows if connection.vendor == "postgresql" else walks
    found = [f"{name}: {what}" for name in sorted(set(TASK_QUEUES) - set(EXCEPT)) for what in judge(name)]
    assert not found, "\n".join(found)
