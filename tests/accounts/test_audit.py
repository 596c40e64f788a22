"""The audit log: written with the act, sealed soon after, and any change to it is found."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from accounts import audit
from accounts.models import AuditEvent
from tests.factories import AccountFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


def write(count: int = 5) -> None:
    account, user = AccountFactory(), UserFactory()
    for n in range(count):
        audit.record(
            "sender.approved", account=account, by=user, target_type="sender", target_id=f"Shop{n}",
            before={"status": "pending"}, after={"status": "approved", "n": n},
        )  # fmt: skip


def faults() -> list[str]:
    return [fault.problem for fault in audit.verify()]


def test_an_act_that_fails_leaves_no_event() -> None:
    with transaction.atomic():
        write(1)
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()


def test_events_are_sealed_once_and_the_chain_holds() -> None:
    write(450)
    assert audit.seal() == 450
    assert audit.seal() == 0
    write(3)
    assert audit.seal() == 3
    assert list(AuditEvent.objects.order_by("pk").values_list("position", flat=True)) == list(range(1, 454))
    assert faults() == []


@pytest.mark.parametrize(
    "change",
    [
        {"action": "sender.rejected"},
        {"after": {"status": "approved", "n": 99}},
        {"user": None},
        {"target_id": "Bank"},
        {"ip_address": "203.0.113.9"},
        {"request_id": "x"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_event_is_found(change: dict[str, Any]) -> None:
    write()
    audit.seal()
    AuditEvent.objects.filter(position=3).update(**change)
    assert faults() == ["the event was changed, or one before it"]


def test_a_removed_event_is_found_wherever_it_stood() -> None:
    write()
    audit.seal()
    AuditEvent.objects.filter(position=3).delete()
    assert faults() == ["1 events are missing", "the event was changed, or one before it"]


def test_a_removed_end_is_found() -> None:
    write()
    audit.seal()
    AuditEvent.objects.filter(position__gt=3).delete()
    assert faults() == ["the chain ends here, and was sealed up to 5"]


def test_events_that_changed_places_are_found() -> None:
    write()
    audit.seal()
    first, second = AuditEvent.objects.filter(position__in=(2, 3)).order_by("position")
    AuditEvent.objects.filter(pk=first.pk).update(position=99)
    AuditEvent.objects.filter(pk=second.pk).update(position=2)
    AuditEvent.objects.filter(pk=first.pk).update(position=3)
    assert faults()


def test_the_command_prints_the_seal_and_knows_an_older_one() -> None:
    write()
    audit.seal()
    out = StringIO()
    call_command("audit_check", stdout=out)
    kept = out.getvalue().strip()
    assert kept.startswith("5:")
    write()
    audit.seal()
    call_command("audit_check", head=kept, stdout=StringIO())


def test_the_command_refuses_a_log_that_was_made_anew() -> None:
    write()
    audit.seal()
    out = StringIO()
    call_command("audit_check", stdout=out)
    AuditEvent.objects.filter(position=1).update(action="forged")
    AuditEvent.objects.update(position=None, hash="")
    audit.Setting.objects.filter(key=audit.CHAIN_LOCK).update(value="0:")
    audit.seal()
    assert faults() == []  # the chain alone cannot tell
    with pytest.raises(CommandError):
        call_command("audit_check", head=out.getvalue(), stderr=StringIO())
