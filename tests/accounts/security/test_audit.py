"""The audit log: written with the act, sealed soon after, and any change to it is found."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from accounts.models import AuditEvent, OwnKey, Setting
from accounts.security import audit, audit_witness, encryption
from tests.support.factories import AccountFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_witnesses(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.VAR_DIR = tmp_path
    settings.REDIS_KEY_PREFIX = f"{settings.REDIS_KEY_PREFIX}-audit"
    yield
    with suppress(RedisError):
        get_redis_connection("default").delete(audit_witness.OUTSIDE.key)


def write(count: int = 5) -> None:
    account, user = AccountFactory(), UserFactory()
    for n in range(count):
        audit.record(
            "sender.approved",
            account=account,
            by=user,
            target_type="sender",
            target_id=f"Shop{n}",
            before={"status": "pending"},
            after={"status": "approved", "n": n},
        )


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
    assert "the chain ends here, and was sealed up to 5" in faults()


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


def make_anew(keep: int = 0) -> None:
    """As who can write to the database, and has the program but not its key, would."""
    AuditEvent.objects.filter(position__gt=keep).update(position=None, hash="")
    position, last = keep, AuditEvent.objects.get(position=keep).hash if keep else ""
    for event in AuditEvent.objects.filter(position=None).order_by("pk"):
        position += 1
        last = hashlib.sha256(last.encode() + audit._content(position, event)).hexdigest()
        AuditEvent.objects.filter(pk=event.pk).update(position=position, hash=last)
    Setting.objects.filter(key=audit.CHAIN_LOCK).update(value=f"{position}:{last}")


@pytest.mark.parametrize("keep", [0, 2])
def test_a_chain_made_anew_without_the_key_is_found(keep: int) -> None:
    write()
    audit.seal()
    AuditEvent.objects.filter(position=4).update(action="forged")
    make_anew(keep)
    assert "the event was changed, or one before it" in faults()
    with pytest.raises(CommandError):
        call_command("audit_check", stderr=StringIO())


def test_a_chain_made_anew_with_its_key_removed_is_found() -> None:
    write()
    audit.seal()
    AuditEvent.objects.filter(position=4).update(action="forged")
    OwnKey.objects.all().delete()
    make_anew()
    write(1)
    audit.seal()  # makes a new key, as for a log of an earlier version
    assert faults() == ["the log does not contain the seal that was noted outside the database"] * witnesses()


def test_a_chain_whose_key_is_gone_is_found_without_a_witness() -> None:
    write()
    audit.seal()
    AuditEvent.objects.filter(position=4).update(action="forged")
    OwnKey.objects.all().delete()
    make_anew()
    audit_witness.record_mark(audit.head())
    assert "the key of the chain is gone: anybody could have made it anew" in faults()


def witnesses() -> int:
    found = len(audit_witness.seen())
    assert found
    return found


def cut(last: int) -> None:
    """Remove the newest events, and set the chain's end right."""
    AuditEvent.objects.filter(position__gt=last).delete()
    event = AuditEvent.objects.filter(position=last).first()
    Setting.objects.filter(key=audit.CHAIN_LOCK).update(value=f"{last}:{event.hash if event else ''}")


@pytest.mark.parametrize("last", [0, 3])
def test_an_end_cut_off_is_found_and_stays_found(last: int) -> None:
    write()
    audit.seal()
    cut(last)
    assert faults() == ["the log does not contain the seal that was noted outside the database"] * witnesses()
    write(7)
    audit.seal()
    assert faults() == ["the log does not contain the seal that was noted outside the database"] * witnesses()


def test_a_log_of_a_backup_is_accepted_by_an_operator_and_that_is_an_event() -> None:
    write()
    audit.seal()
    cut(3)
    call_command("audit_check", accept=True, stdout=StringIO())
    assert faults() == []
    event = AuditEvent.objects.get(action="audit.accepted")
    assert event.after["not_contained"][0].startswith("5:")


def test_events_sealed_before_there_was_a_key_hold_and_are_bound_by_it() -> None:
    write()
    audit.seal()
    make_anew()
    OwnKey.objects.all().delete()
    audit_witness.record_mark(audit.head())
    write(2)
    audit.seal()
    assert faults() == []
    AuditEvent.objects.filter(position=2).update(action="forged")
    assert faults() == ["the event was changed, or one before it"]


def test_sealing_that_is_off_is_found() -> None:
    write(2)
    assert faults() == []
    AuditEvent.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert "sealing is off" in faults()[0]


def test_the_key_is_encrypted_and_rotated(settings: Any) -> None:
    write(2)
    audit.seal()
    (before,) = OwnKey.objects.filter(name="audit").values_list("value", flat=True)
    settings.ENCRYPTION_KEYS = ["another key, thirty-two characters"]
    assert dict(encryption.rotate())["accounts.OwnKey.value"] == 1
    settings.ENCRYPTION_KEYS_DERIVED = ["gone"]
    (after,) = OwnKey.objects.filter(name="audit").values_list("value", flat=True)
    assert before != after
    assert faults() == []
