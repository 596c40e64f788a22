"""A restored backup and a cloned copy send nothing by themselves, and nothing twice once they are released."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.utils import timezone
from psycopg import sql

from accounts.models import AuditEvent, Setting
from accounts.security import sending_hold
from accounts.security.sending_hold import HoldKind
from campaigns import services as campaign_services
from campaigns import tasks as campaign_tasks
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from messaging import services, tasks
from messaging.choices import AttemptState, Lane, MessageStatus
from messaging.gateways import registry
from messaging.models import Attempt, Batch, Gateway, Message, Route
from messaging.outcomes import report_inbox
from messaging.restore import detection, fingerprint, high_water_mark, release
from messaging.restore.fingerprint import Fingerprint
from messaging.restore.high_water_mark import Mark
from messaging.sending import dispatch
from messaging.sending.expansion import expand_ready
from messaging.upkeep import sweeps
from tests.support.factories import MembershipFactory, in_use, make_campaign, phones
from tests.support.pipeline.assertions import assert_counted, assert_each_sent_once
from tests.support.pipeline.restores import lost_time, new_connection, release_all, released
from tests.support.pipeline.rounds import eventually, run_dry, send, statuses
from tests.support.pipeline.steps import expand_one_chunk, send_batches

pytestmark = pytest.mark.django_db
S = MessageStatus


# --- no false hold ------------------------------------------------------------------------------------------


def test_a_first_start_claims_its_place_and_is_not_held() -> None:
    assert detection.may_send()
    assert detection.watch() is None
    assert detection.may_send()
    assert Setting.objects.get(key="installed_at").is_fixed
    assert high_water_mark.seen(detection._name()) == detection.last_mark()


def test_restarts_and_lost_or_strange_witnesses_hold_nothing(tmp_path: Path) -> None:
    for _ in range(3):
        detection.watch()
    old, name = detection.last_mark(), detection._name()
    for text in ("", "{broken", "[]", '"x"', '{"installation": "other", "counter": 999, "at": "2026-01-01T00:00:00"}'):
        (tmp_path / "witness.json").write_text(text)
        new_connection()
        assert detection.may_send(), text
    (tmp_path / "witness.json").unlink()
    high_water_mark.record_mark(name, replace(old, counter=1))  # of a machine that has not run for a while
    assert detection.check() is None


def test_a_machine_that_loses_the_race_for_the_next_mark_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one renews it, and tells the witness, just before we look there."""
    detection.watch()
    real = high_water_mark.seen

    def seen(name: str) -> Mark | None:
        detection._renew(1)
        return real(name)

    monkeypatch.setattr(high_water_mark, "seen", seen)
    assert detection.check() is None


def test_marks_of_two_processes_only_grow() -> None:
    counters = []
    for _ in range(4):
        detection.watch()
        counters.append(detection.last_mark().counter)
    assert counters == [1, 2, 3, 4]


HOME = Fingerprint("7301", "16384", "", "db:5432/smsapp", started="2026-11-30 07:00:00.123456+00")
POOLER = "pooler:6432/smsapp"


@pytest.mark.parametrize(
    ("now", "is_same"),
    [
        (HOME, True),
        (replace(HOME, server=""), True),  # a role that may not ask for it
        (replace(HOME, instance="main"), True),  # INSTANCE_ID was set since
        (replace(HOME, server="7302"), False),
        (replace(HOME, database="16999"), False),
        (replace(HOME, address=POOLER), True),  # the same server, running on
        (replace(HOME, address=POOLER, server=""), False),
        (replace(HOME, address="staging:5432/smsapp", started="2026-11-30 09:00:00.5+00"), False),
        (replace(HOME, started="2026-11-30 09:00:00.5+00"), True),  # it was restarted
        (replace(HOME, address="staging:5432/smsapp", instance="staging", started="later"), False),
    ],
)
def test_places_differ_where_both_are_known(now: Fingerprint, is_same: bool) -> None:
    assert (fingerprint.difference(HOME, now) == "") is is_same


def test_an_instance_id_goes_before_the_address() -> None:
    named = replace(HOME, instance="main")
    assert fingerprint.difference(named, replace(named, address="10.0.0.5:6432/smsapp")) == ""
    assert "INSTANCE_ID" in fingerprint.difference(named, replace(named, instance="staging"))


def test_a_way_that_was_proven_once_is_known_after_a_restart_of_the_server() -> None:
    both = fingerprint.completed(HOME, replace(HOME, address=POOLER))
    restarted = replace(HOME, started="2026-11-30 09:00:00.5+00")
    for address in (HOME.address, POOLER):
        assert fingerprint.difference(both, replace(restarted, address=address)) == ""
    assert "db:5432/smsapp and pooler:6432/smsapp" in fingerprint.difference(
        both, replace(restarted, address="x:5432/smsapp")
    )
    assert fingerprint.completed(both, restarted).address.split() == [HOME.address, POOLER]


# --- another place ------------------------------------------------------------------------------------------


@contextmanager
def copied_database(tmp_path: Path) -> Iterator[None]:
    """Within it the default connection leads to a real copy of the test's database, as a dump restored elsewhere."""
    original = connections["default"]
    name = str(original.settings_dict["NAME"])
    copy = connections.create_connection("default")
    target = f"{name}_copy" if original.vendor == "postgresql" else str(tmp_path / "copy.sqlite3")
    copy.settings_dict = {**copy.settings_dict, "NAME": target}
    if original.vendor == "postgresql":
        original.close()
        administer(original, "CREATE DATABASE {} TEMPLATE {}", target, name)
    else:
        with sqlite3.connect(target) as file:
            original.connection.backup(file)
        file.close()
    try:
        yield switch(copy)
    finally:
        switch(original)
        copy.close()
        if original.vendor == "postgresql":
            administer(original, "DROP DATABASE {} WITH (FORCE)", target)


def switch(to: Any) -> None:
    connections["default"] = to


def administer(original: Any, statement: str, *names: str) -> None:
    parameters = original.get_connection_params() | {"dbname": "postgres"}
    keys = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{key: parameters[key] for key in keys if parameters.get(key)}, autocommit=True) as server:
        server.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.mark.django_db(transaction=True)
def test_a_dump_restored_elsewhere_sends_nothing_until_it_is_released_and_then_only_the_rest(
    simulator, tmp_path: Path
) -> None:
    simulator.set_faults(refuse_repeated=0)
    running = make_campaign(count=10)
    expand_ready()
    send_batches(2)
    scheduled = make_campaign(running.account, count=2, scheduled_at=timezone.now() + timedelta(minutes=5))
    Campaign.objects.filter(pk=scheduled.pk).update(scheduled_at=timezone.now())
    detection.watch()
    original = connections["default"]
    with copied_database(tmp_path):
        copy = connections["default"]
        switch(original)
        send_batches(2)  # after the dump was made
        switch(copy)
        posts = simulator.ledger()["posts"]
        for _ in range(2):
            new_connection()
            assert send() == dispatch.dispatch_ready(Lane.SINGLES) == 0
            assert campaign_tasks.start_due() == report_inbox.poll() == 0
            tasks.watch()
            tasks.sweep()
        held = sending_hold.current()
        assert (held.kind, held.reason) == (HoldKind.COPY, detection.OTHER_PLACE)
        assert (simulator.ledger()["posts"], simulator.ledger()["accepted"]) == (posts, 8)
        release_all()
        assert detection.may_send()
        eventually(lambda: statuses() == {"delivered": 10}, run_dry)
        assert_each_sent_once(simulator)
        assert_counted(running)
        assert Campaign.objects.get(pk=scheduled.pk).status == CampaignStatus.MISSED
        assert campaign_tasks.start_due() == 0


# --- another time -------------------------------------------------------------------------------------------


def test_an_older_state_put_back_in_place_is_held_and_says_what_it_is(simulator) -> None:
    make_campaign(count=4)
    expand_ready()
    detection.watch()
    with lost_time():
        detection.watch()
    assert send() == 0
    held = sending_hold.current()
    assert (held.kind, held.reason) == (HoldKind.COPY, detection.OTHER_TIME)
    assert "last alive" in held.detail
    before = detection.last_mark()
    detection.watch()
    assert detection.last_mark() == before
    assert simulator.ledger()["posts"] == 0


@pytest.mark.parametrize("lost", ["file", "redis"])
def test_one_witness_is_enough(lost: str, tmp_path: Path, redis_client: Any) -> None:
    detection.watch()
    with lost_time():
        detection.watch()
    if lost == "file":
        (tmp_path / "witness.json").unlink()
    else:
        redis_client.delete(high_water_mark.OUTSIDE.key)
    assert not detection.may_send()


def test_release_finds_what_the_provider_has_and_sends_only_the_rest(simulator) -> None:
    simulator.set_faults(refuse_repeated=0)
    campaign = make_campaign(count=10)
    expand_ready()
    send_batches(1)
    detection.watch()
    with lost_time():
        send_batches(2)
        detection.watch()
    assert send() == 0
    assert statuses() == {"sent": 2, "queued": 8}
    release_all()
    assert statuses()["queued"] == 4
    assert Attempt.objects.filter(state=AttemptState.RESOLVED).count() == 2
    eventually(lambda: statuses() == {"delivered": 10}, run_dry)
    assert_each_sent_once(simulator)
    assert_counted(campaign)
    assert simulator.ledger()["repeated_posts"] == 0


def test_a_call_that_was_not_sent_hides_none_that_was(simulator) -> None:
    """In the lost time the first call was refused for being too fast and the second carried one message."""
    simulator.set_faults(refuse_repeated=0)
    make_campaign(count=2)
    expand_ready()
    Batch.objects.update(call_size=1)
    detection.watch()
    with lost_time():
        simulator.set_faults(refuse_repeated=0, throttle=1)
        send_batches(1)
        simulator.set_faults(refuse_repeated=0)
        Batch.objects.update(next_attempt_at=timezone.now())
        send_batches(1)
        detection.watch()
    send()
    release_all()
    assert statuses() == {"sent": 1, "queued": 1} or statuses() == {"delivered": 1, "queued": 1}
    assert sorted(Attempt.objects.values_list("state", flat=True)) == [AttemptState.NOT_SENT, AttemptState.RESOLVED]
    eventually(lambda: statuses() == {"delivered": 2}, run_dry)
    assert_each_sent_once(simulator)
    assert simulator.ledger()["repeated_posts"] == 0


def test_what_was_unknown_and_was_sent_again_in_the_lost_time_is_not_sent_once_more(simulator) -> None:
    simulator.set_faults(refuse_repeated=0, reset_before=1)
    make_campaign(count=2)
    expand_ready()
    send()
    assert statuses() == {"unknown": 2}
    simulator.set_faults(refuse_repeated=0)
    detection.watch()
    with lost_time():
        eventually(lambda: statuses() == {"delivered": 2}, run_dry)
        detection.watch()
    assert send() == 0
    release_all()
    eventually(lambda: statuses() == {"delivered": 2}, run_dry)
    assert_each_sent_once(simulator)


def test_numbers_given_away_in_the_lost_time_are_not_used_again(simulator) -> None:
    """A single send accepted right after the restore must not get the id of another one that was sent before."""
    member = MembershipFactory()
    request = campaign_services.CampaignRequest(kind=CampaignKind.SINGLE, message="Hello")
    detection.watch()
    with lost_time():
        for phone in phones(3):
            services.send(member.account, member.user, request, [phone])
        dispatch.dispatch_ready(Lane.SINGLES)
        detection.watch()
    services.send(member.account, member.user, request, phones(1, start=50))
    assert sending_hold.is_held()
    release_all()
    dispatch.dispatch_ready(Lane.SINGLES)
    assert len(simulator.accepted_ids()) == len(set(simulator.accepted_ids())) == 4
    assert_each_sent_once(simulator)


def test_a_campaign_that_was_not_stored_whole_waits_for_a_person(simulator, settings) -> None:
    settings.CHUNK_SIZE = 2
    campaign = make_campaign(count=4)
    expand_one_chunk(campaign)
    due = make_campaign(campaign.account, count=2, scheduled_at=timezone.now() + timedelta(minutes=5))
    detection.watch()
    with lost_time():
        expand_ready()
        send()
        detection.watch()
    send()
    campaign.refresh_from_db()
    assert (campaign.status, campaign.status_detail) == (CampaignStatus.PAUSED, detection.UNCERTAIN)
    assert expand_ready() == 0
    Campaign.objects.filter(pk=due.pk).update(scheduled_at=timezone.now())
    release_all()
    assert Campaign.objects.get(pk=due.pk).status == CampaignStatus.MISSED
    assert send() == 0
    assert len(simulator.accepted_ids()) == 4


def test_what_is_cancelled_under_the_hold_is_compared_before_it_is_closed(simulator) -> None:
    campaign = make_campaign(count=4)
    expand_ready()
    detection.watch()
    with lost_time():
        send_batches(1)
        detection.watch()
    send()
    campaign_services.cancel(campaign, campaign.user)
    sweeps.sweep()
    assert statuses() == {"queued": 4}
    release_all()
    sweeps.sweep()
    assert statuses() in ({"sent": 2, "cancelled": 2}, {"delivered": 2, "cancelled": 2})


# --- release ------------------------------------------------------------------------------------------------


def restored_backup(count: int = 4) -> Campaign:
    campaign = make_campaign(count=count)
    expand_ready()
    detection.watch()
    with lost_time():
        send()
        detection.watch()
    send()
    assert sending_hold.is_held()
    return campaign


def test_a_provider_that_does_not_tell_keeps_the_hold(simulator, settings) -> None:
    settings.SIMULATOR_UNKNOWN_GRACE = 0.02
    registry.reset()
    restored_backup()
    simulator.set_faults(refuse_repeated=0, log_outage=1)
    with pytest.raises(CommandError, match="2 batches could not be compared"):
        call_command("release")
    assert release.progress().state == release.REFUSED
    assert sending_hold.is_held()
    assert send() == 0
    simulator.set_faults(refuse_repeated=0)
    call_command("release")
    assert statuses() in ({"sent": 4}, {"delivered": 4})
    assert release.progress() is None
    assert_each_sent_once(simulator)


def test_a_road_whose_provider_knows_no_id_of_ours_keeps_the_hold(simulator) -> None:
    """In the lost time the rest may have gone that way, and nobody could say so."""
    restored_backup()
    twilio = Gateway(name="twilio", kind="twilio", base_url=simulator.url, **in_use())
    twilio.secrets = {"account_sid": "AC1", "auth_token": simulator.api_key}
    twilio.save()
    Route.objects.create(gateway=twilio)
    with pytest.raises(CommandError, match="2 batches could not be compared"):
        call_command("release")
    assert sending_hold.is_held()
    assert "twilio knows messages by no id of ours" in release.progress().note


def test_an_operator_may_insist_without_the_provider(simulator) -> None:
    restored_backup()
    simulator.set_faults(log_outage=1)
    call_command("release", force=True)
    assert not sending_hold.is_held()
    assert statuses() == {"queued": 4}


def test_what_is_accepted_during_the_comparison_is_not_compared(simulator, settings) -> None:
    """It cannot have been sent; and where much is accepted, the comparison would never come to its end."""
    simulator.set_faults(refuse_repeated=0)
    restored_backup()
    settings.TASK_BUDGET = 0.0  # one batch a step
    member = MembershipFactory()
    request = campaign_services.CampaignRequest(kind=CampaignKind.SINGLE, message="Hello")
    numbers = iter(phones(100, start=50))

    def compare_beside_sends() -> None:
        services.send(member.account, member.user, request, [next(numbers)])
        release.take_step()

    release.request("anna")
    eventually(released, compare_beside_sends)
    settings.TASK_BUDGET = 10.0
    assert AuditEvent.objects.get(action="sending.released").after["compared"] == 2
    count = Message.objects.count()
    assert count > 5
    eventually(lambda: statuses() == {"delivered": count}, lambda: (run_dry(), dispatch.dispatch_ready(Lane.SINGLES)))
    assert_each_sent_once(simulator)


def test_a_backup_older_than_the_providers_log_is_not_released_by_itself(simulator, settings) -> None:
    settings.SIMULATOR_UNKNOWN_GRACE = 0.02
    registry.reset()
    restored_backup()
    mark = detection.last_mark()
    detection.LAST_ALIVE.put(replace(mark, at=mark.at - timedelta(hours=48)))
    with pytest.raises(CommandError, match="does not reach back"):
        call_command("release")
    assert sending_hold.is_held()


def test_a_release_whose_worker_died_is_taken_up_by_another(
    simulator, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SIMULATOR_UNKNOWN_GRACE = 0
    registry.reset()
    restored_backup(count=6)
    release.request("anna")
    real, compared = release.compare, []

    def compare(batch: Batch) -> int:
        if len(compared) == 1:
            raise KeyboardInterrupt
        compared.append(batch.pk)
        return real(batch)

    monkeypatch.setattr(release, "compare", compare)
    with pytest.raises(KeyboardInterrupt):
        release.take_step()
    monkeypatch.setattr(release, "compare", real)
    claimed = release.progress()
    assert claimed.checked == 1
    assert release.take_step() == claimed  # somebody may still be at it
    release.PROGRESS.put(replace(claimed, not_before=1.0))
    eventually(released, release.take_step)
    assert_each_sent_once(simulator)


def test_an_older_backup_is_noticed_after_a_release_too(simulator) -> None:
    detection.watch()
    point = transaction.savepoint()
    detection.watch()
    restored_backup()
    release_all()
    detection.watch()
    assert not sending_hold.is_held()
    transaction.savepoint_rollback(point)
    new_connection()
    assert not detection.may_send()


def test_a_machine_with_a_witness_of_the_lost_time_does_not_hold_again_after_a_release(
    simulator, tmp_path: Path
) -> None:
    detection.watch()
    with lost_time():
        for _ in range(3):
            detection.watch()
    send()
    of_another_machine = (tmp_path / "witness.json").read_text()
    release_all()
    (tmp_path / "witness.json").write_text(of_another_machine)
    detection.watch()
    assert detection.may_send()


def test_the_hold_by_hand_can_be_compared_as_well(simulator) -> None:
    """After a failover that may have lost the last seconds, which no witness saw."""
    simulator.set_faults(refuse_repeated=0)
    make_campaign(count=4)
    expand_ready()
    detection.watch()
    with lost_time():
        send_batches(1)
    sending_hold.hold("failover", "anna")
    release_all(check=True)
    eventually(lambda: statuses() == {"delivered": 4}, run_dry)
    assert_each_sent_once(simulator)


# --- files of SQLite ----------------------------------------------------------------------------------------

SCRIPT = """
import shutil, sys
from pathlib import Path
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from accounts.security import sending_hold
from messaging.restore import detection
path = Path(connection.settings_dict["NAME"])
call_command("migrate", verbosity=0)
assert detection.watch() is None and detection.may_send()
connection.close()
shutil.copy(path, path.with_name("old"))
shutil.copytree(path.parent, sys.argv[1])
assert detection.watch() is None
connection.close()
connection.settings_dict["NAME"] = sys.argv[1] + "/" + path.name
assert not detection.may_send()
print(sending_hold.current().reason)
connection.close()
connection.settings_dict["NAME"] = str(path)
assert detection.may_send()
connection.close()
shutil.copyfile(path.with_name("old"), path)
assert not detection.may_send()
print(sending_hold.current().reason)
"""


@pytest.mark.once
def test_files_copied_elsewhere_or_put_back_are_held(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    environment = {"VAR_DIR": str(tmp_path / "var"), "PATH": "", "DJANGO_SETTINGS_MODULE": "smsapp.settings.base"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "copy")],
        env=environment | {"REDIS_URL": "redis://127.0.0.1:1/0", "LOG_LEVEL": "ERROR"},
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [detection.OTHER_PLACE, detection.OTHER_TIME]
