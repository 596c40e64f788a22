"""What beat wakes reads what is waiting, never what is finished: every statement is judged by the rows it really reads.

The tables hold HISTORY finished rows each and a backlog that may not leave: of a paused campaign, a gateway that is not
set up, an account on hold, a run of report bodies. PostgreSQL explains and executes every statement of a task, and no
scan of a large table may read more than a bounded number of rows.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Account
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.choices import AttemptState, BatchState, Lane, MessageStatus
from messaging.ids import MAX_IN_BATCH
from messaging.models import Attempt, Batch, Message, ReportInbox
from messaging.routing import gateway_health
from smsapp.celery import app
from smsapp.queues import TASK_QUEUES
from tests.support.factories import AccountFactory, make_campaign
from tests.support.query_plans import Plans, copies

pytestmark = [pytest.mark.platform, pytest.mark.postgresql, pytest.mark.once, pytest.mark.django_db]

HISTORY = int(os.environ.get("PLAN_ROWS", "500000"))
BACKLOG = HISTORY // 25
MOST_READ = 6000  # rows by one scan: what is taken at once, and a little beside it
#: Tasks that look at much for a reason, and at how many rows.
LOOKS_AT = {
    "messaging.check_consistency": 4 * BACKLOG,  # adds up whole campaigns, some at a time
    "messaging.measure_health": 4
    * gateway_health.MOST,  # the newest batches and calls, a fixed number, by parallel workers
    "messaging.sweep": 2 * BACKLOG,  # sets aside what may not leave, so that nobody reads it again
}
FIRST = 10_000_000  # key of the first finished row

WITHOUT_DATABASE = {
    "accounts.store_usage",
    "accounts.heed_alarms",
    "messaging.check_balance",
}  # they have nothing to ask
#: Tasks that are given an id, and read what belongs to it.
OF_ONE = {"smsapp.pulse", "messaging.preflight", "uploads.parse", "accounts.deliver_webhooks"}


@pytest.fixture
def history() -> None:
    _build()


def _build() -> None:
    with connection.cursor() as cursor:  # without the triggers of foreign keys, which take most of the time
        cursor.execute("SET LOCAL session_replication_role = replica")
    account = AccountFactory()
    now = timezone.now()
    done = make_campaign(account, count=1, kind="single")
    Campaign.objects.filter(pk=done.pk).update(
        status=CampaignStatus.COMPLETED, closed_at=now, completed_at=now, delivered=1, chunks_done=1
    )
    batch = Batch.objects.create(
        account=account,
        campaign=done,
        chunk=0,
        part=0,
        mode="live",
        lane=Lane.SINGLES,
        turn=0,
        size=1,
        delivered=1,
        state=BatchState.DONE,
        gateway="simulator",
        report_deadline=now,
        price_micro=75_000,
        segments=1,
        charged_segments=1,
    )
    message = Message.objects.create(
        id=batch.pk * MAX_IN_BATCH, campaign=done, row=1, phone_number="+4915112000000", status=MessageStatus.DELIVERED
    )
    attempt = Attempt.objects.create(
        batch=batch,
        gateway="simulator",
        reference="call-0",
        epoch=1,
        first=message.pk,
        last=message.pk,
        message_count=1,
        state=AttemptState.ANSWERED,
        deadline=now,
        finished_at=now,
    )
    body = ReportInbox.objects.create(gateway="simulator", source="push", body=b'{"results":[]}', applied_at=now)
    copies(done, HISTORY, id=f"{FIRST} + n", bulk_id="'old-' || n")
    copies(batch, HISTORY, id=f"{FIRST} + n", campaign_id=f"{FIRST} + n")
    copies(message, HISTORY, id=f"({FIRST} + n::bigint) * {MAX_IN_BATCH}", campaign_id=f"{FIRST} + n")
    copies(
        attempt,
        HISTORY,
        id=f"{FIRST} + n",
        batch_id=f"{FIRST} + n",
        reference="'old-' || n",
        first=f"({FIRST} + n::bigint) * {MAX_IN_BATCH}",
        last=f"({FIRST} + n::bigint) * {MAX_IN_BATCH}",
    )
    copies(body, HISTORY, id=f"{FIRST} + n")
    _build_backlog(account, batch)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = origin")
        for row in (done, batch, message, attempt, body):  # those of the whole cluster others may be reading
            cursor.execute(f"ANALYZE {row._meta.db_table}")


def _build_backlog(account: Account, batch: Batch) -> None:
    """Two campaigns with many batches: one is paused, the other goes to a gateway that is away for good."""
    for place, status in enumerate((CampaignStatus.PAUSED, CampaignStatus.RUNNING), 1):
        campaign = make_campaign(account, count=1)
        Campaign.objects.filter(pk=campaign.pk).update(status=status, queued=BACKLOG, chunks_done=1)
        copies(
            batch,
            BACKLOG,
            id=f"{FIRST + place * HISTORY} + n",
            campaign_id=str(campaign.pk),
            part="mod(n, 30000)",
            chunk="n / 30000",
            lane=str(Lane.CAMPAIGNS.value),
            state=f"'{BatchState.READY}'",
            queued="1",
            delivered="0",
            segments="0",
            charged_segments="0",
            report_deadline="NULL",
            gateway="'gone'",
            turn="n",
        )
    ReportInbox.objects.filter(pk__gte=FIRST + HISTORY - BACKLOG).update(applied_at=None)


@contextmanager
def explained(most_read: int = MOST_READ) -> Iterator[Plans]:
    plans = Plans(most_read)
    with connection.execute_wrapper(plans):
        yield plans


def test_tasks_read_what_waits_and_not_what_is_finished(history: None) -> None:
    """All in one test, since the tables are built in the process that runs it."""
    app.loader.import_default_modules()
    too_much = []
    for name in sorted(set(TASK_QUEUES) - OF_ONE):
        with transaction.atomic(), explained(LOOKS_AT.get(name, MOST_READ)) as plans:
            app.tasks[name]()
            transaction.set_rollback(True)
        assert plans.statements or name in WITHOUT_DATABASE, name
        too_much += [f"{name}: {what}" for what in plans.too_much]
    assert not too_much, "\n".join(too_much)
