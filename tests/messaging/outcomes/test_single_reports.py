"""Bodies of one report, as Twilio and custom gateways push them: a hundred cost as many queries as ten, and workers add
up."""

import random
import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.choices import CampaignKind
from messaging.choices import AttemptState, FactSource, GatewayKind
from messaging.models import Attempt, Batch, Gateway, Message, ProviderReference, ReportInbox
from messaging.outcomes import report_inbox
from messaging.sending.expansion import expand_ready
from smsapp.core import clock
from tests.support.factories import AccountFactory, in_use, make_campaign
from tests.support.installed import put_installation_back
from tests.support.pipeline.assertions import assert_counted
from tests.support.pipeline.rounds import statuses

pytestmark = pytest.mark.django_db
RULES = {
    "url": "http://127.0.0.1:9/send?key={token}",
    "body": {"to": "{to}", "text": "{text}"},
    "id_path": "id",
    "report_id_path": "id",
    "report_status_path": "state",
    "statuses": {"arrived": "delivered"},
}
NOBODYS = "zzzzz00000000g4017"


@pytest.fixture(autouse=True)
def roads(settings: Any) -> None:
    settings.GATEWAYS_READ_EVERY = 0.0
    put_installation_back()
    for name, kind, rules in (("twilio", GatewayKind.TWILIO, {}), ("pigeon", GatewayKind.HTTP, RULES)):
        row = Gateway(name=name, kind=kind, rules=rules, **in_use())
        row.secrets = {"account_sid": f"AC{'2' * 32}", "auth_token": "secret", "token": "secret"}
        row.save()


def sent_by(gateway: str, messages: Sequence[Message]) -> None:
    """As calls of ten leave them whose messages were taken; the provider's id of each is our number of it."""
    now = timezone.now()
    for batch_id, among in groupby(messages, attrgetter("batch_id")):
        numbers = [message.pk for message in among]
        for first in numbers[::10]:
            last = min(first + 9, numbers[-1])
            Attempt.objects.create(
                batch_id=batch_id,
                gateway=gateway,
                reference=f"call-{first}",
                epoch=1,
                first=first,
                last=last,
                message_count=last - first + 1,
                state=AttemptState.ANSWERED,
                deadline=now,
                finished_at=now,
            )
    ProviderReference.objects.bulk_create(
        ProviderReference(gateway=gateway, reference=f"{message.pk}", message=message) for message in messages
    )


def push(gateway: str, body: bytes) -> None:
    report_inbox.receive(gateway, FactSource.PUSH, body, 1)


def by_twilio(message: Message) -> None:
    fields = {"smsapp_id": message.message_id, "MessageSid": f"SM{message.pk}", "MessageStatus": "delivered"}
    push("twilio", urlencode(fields).encode())


def by_their_id(message: Message) -> None:
    push("pigeon", b"smsapp_id=\n" + orjson.dumps({"id": f"{message.pk}", "state": "arrived"}))


def of_nobody(message: Message) -> None:
    push("pigeon", f"smsapp_id={NOBODYS}\n".encode() + orjson.dumps({"id": f"n{message.pk}", "state": "arrived"}))


def unreadable(message: Message) -> None:
    push("twilio", b"MessageSid=1")


def many_singles(count: int) -> list[Message]:
    account = AccountFactory()
    for _ in range(count):
        make_campaign(account, count=1, kind=CampaignKind.SINGLE)
    expand_ready()
    while Batch.objects.count() < count:
        expand_ready()
    return list(Message.objects.select_related("campaign").order_by("pk"))


def one_campaign(count: int) -> list[Message]:
    make_campaign(count=count)
    expand_ready()
    return list(Message.objects.select_related("campaign").order_by("pk"))


def queries_of(act: Callable[[], object]) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        act()
    return len(captured)


# On SQLite the tally of each batch is a statement, which costs no way to a server.
@pytest.mark.parametrize("made", [one_campaign, pytest.param(many_singles, marks=pytest.mark.postgresql)])
@pytest.mark.parametrize("pushed", [by_twilio, by_their_id, of_nobody, unreadable])
def test_fifty_bodies_cost_as_many_queries_as_ten(made: Any, pushed: Any) -> None:
    messages = made(70)  # the last of them stay silent: completing a campaign costs queries of its own
    sent_by("twilio" if pushed is by_twilio else "pigeon", messages)
    counts = []
    for among in (messages[:10], messages[10:60]):
        for message in among:
            pushed(message)
        counts.append(queries_of(report_inbox._apply_some))
    assert not ReportInbox.objects.filter(applied_at=None, failure_count=0).exists()
    if pushed in (by_twilio, by_their_id):
        assert statuses() == {"delivered": 60, "queued": 10}
    few, many = counts
    assert many <= few


@pytest.mark.postgresql
def test_bodies_are_marked_before_anything_is_locked_that_other_workers_need() -> None:
    messages = one_campaign(20)
    sent_by("twilio", messages)
    for message in messages[:10]:
        by_twilio(message)
    with CaptureQueriesContext(connection) as captured:
        report_inbox._apply_some()
    statements = [query["sql"].replace('"', "") for query in captured]
    marks = [n for n, sql in enumerate(statements) if sql.startswith("UPDATE messaging_reportinbox")]
    locks = [n for n, sql in enumerate(statements) if "FROM messaging_batch" in sql and "FOR UPDATE" in sql]
    assert len(marks) == len(locks) == 1
    assert marks < locks
    assert [sql for sql in statements if "SAVEPOINT" not in sql][-1].startswith("UPDATE sms_campaigns")


def test_so_many_are_taken_as_hold_the_reports_of_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_inbox, "REPORTS_AT_ONCE", 10)
    for count in (4, 4, 4, 30, 0, 1):
        report_inbox.receive("pigeon", FactSource.PUSH, b"smsapp_id=\n{}", count)
    taken = []
    while not taken or taken[-1]:
        with transaction.atomic():
            bodies = report_inbox._take_waiting(clock.now())
            taken.append([body.report_count for body in bodies])
            ReportInbox.objects.filter(pk__in=[body.pk for body in bodies]).update(applied_at=clock.now())
    assert taken == [[4, 4], [4], [30], [0, 1], []]


def in_thread(act: Callable[[], Any]) -> Any:
    """What `act` returns on a connection of its own, while ours holds its locks."""
    found: list[Any] = []

    def run() -> None:
        try:
            with transaction.atomic():
                found.append(act())
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return found[0]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_second_worker_takes_the_next_and_not_those_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_inbox, "BODIES_AT_ONCE", 2)
    for _ in range(5):
        push("pigeon", b"smsapp_id=\n{}")

    def take() -> list[int]:
        return [body.pk for body in report_inbox._take_waiting(clock.now())]

    with transaction.atomic():
        first = take()
        second = in_thread(take)
        ReportInbox.objects.filter(pk__in=first).update(applied_at=clock.now())
    assert first + second == list(ReportInbox.objects.order_by("pk").values_list("pk", flat=True)[:4])


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_worker_does_not_wait_for_another_that_has_reports_of_other_campaigns() -> None:
    first, second = one_campaign(10), one_campaign(10)[10:]
    sent_by("twilio", [*first, *second])
    for message in first[:5]:
        by_twilio(message)

    def apply_beside() -> int | None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '500ms'")
        return report_inbox._apply_some()

    with transaction.atomic():
        assert report_inbox._apply_some() == 5
        for message in second[:7]:
            in_thread(lambda message=message: by_twilio(message))
        assert in_thread(apply_beside) == 7
    assert statuses() == {"delivered": 12, "queued": 8}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_two_workers_apply_reports_on_the_same_batches_in_any_order(
    monkeypatch: pytest.MonkeyPatch, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Each message is reported twice, in bodies that different workers take: none waits for the other for ever."""
    settings.BATCH_SIZE = 10
    monkeypatch.setattr(report_inbox, "BODIES_AT_ONCE", 5)
    messages = one_campaign(100)
    sent_by("twilio", messages)
    for message in random.Random(1).sample(messages * 2, 200):
        by_twilio(message)
    problems: list[BaseException] = []

    def work() -> None:
        try:
            while report_inbox._apply_some() is not None:
                pass
        except BaseException as error:
            problems.append(error)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not problems
    assert "cannot be applied" not in caplog.text
    assert not ReportInbox.objects.filter(applied_at=None).exists()
    assert statuses() == {"delivered": 100}
    assert_counted(messages[0].campaign)
