"""After a stop the providers are asked before anything leaves: what was put back as a whole sends nothing twice."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import Setting
from accounts.security import sending_hold
from accounts.security.sending_hold import HoldKind
from campaigns import services as campaign_services
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from messaging import services, tasks
from messaging.choices import Lane
from messaging.gateways import registry
from messaging.gateways.base import OutgoingMessage, Submission
from messaging.models import Batch, Gateway, Message, Route
from messaging.restore import asking, detection, fingerprint, release
from messaging.sending import dispatch, leases, submit
from messaging.sending.expansion import expand_ready
from reports.selectors import attention
from tests.support.factories import MembershipFactory, in_use, make_campaign, phones
from tests.support.pipeline.assertions import assert_counted, assert_each_sent_once
from tests.support.pipeline.restores import machine_put_back, new_connection, release_all, stop
from tests.support.pipeline.rounds import eventually, run_dry, send, statuses
from tests.support.pipeline.steps import opened_of, send_batches

pytestmark = pytest.mark.django_db


def log_reads(simulator: Any) -> int:
    return len(simulator.simulator._log_reads)


def running(count: int = 10) -> Campaign:
    campaign = make_campaign(count=count)
    expand_ready()
    send_batches(1)
    detection.watch()
    return campaign


# --- another past -------------------------------------------------------------------------------------------


def test_a_machine_that_was_put_back_is_held_and_after_the_release_sends_only_the_rest(
    simulator, tmp_path: Path
) -> None:
    simulator.set_faults(refuse_repeated=0)
    campaign = running()
    with machine_put_back(tmp_path):
        send_batches(2)
        detection.watch()
    assert send() == dispatch.dispatch_ready(Lane.SINGLES) == 0
    assert sending_hold.current().kind is HoldKind.CHECKING
    assert simulator.ledger()["accepted"] == 6
    tasks.watch()
    held = sending_hold.current()
    assert (held.kind, held.reason) == (HoldKind.COPY, detection.OTHER_TIME)
    assert "by a call that the database does not know" in held.detail
    assert send() == 0
    release_all()
    assert not asking.is_open()
    eventually(lambda: statuses() == {"delivered": 10}, run_dry)
    assert_each_sent_once(simulator)
    assert_counted(campaign)


def test_a_message_that_nobody_knows_any_more_is_enough(simulator, tmp_path: Path) -> None:
    member = MembershipFactory()
    request = campaign_services.CampaignRequest(kind=CampaignKind.SINGLE, message="Hello")
    make_campaign(count=2)
    expand_ready()
    detection.watch()
    with machine_put_back(tmp_path):
        services.send(member.account, member.user, request, phones(1))
        dispatch.dispatch_ready(Lane.SINGLES)
    services.send(member.account, member.user, request, phones(1, start=50))
    tasks.watch()
    assert sending_hold.current().kind is HoldKind.COPY
    assert "which the database does not know" in sending_hold.current().detail
    assert Message.objects.get(campaign__kind=CampaignKind.SINGLE).message_id not in simulator.accepted_ids()


def test_a_log_that_lags_is_read_when_it_is_complete(simulator, settings, tmp_path: Path) -> None:
    settings.SIMULATOR_LOG_LAG = 1.5
    registry.reset()
    simulator.set_faults(refuse_repeated=0, log_lag=1)
    running()
    with machine_put_back(tmp_path):
        send_batches(2)
    tasks.watch()
    assert (send(), log_reads(simulator)) == (0, 0)
    assert sending_hold.current().kind is HoldKind.CHECKING
    eventually(lambda: sending_hold.current().kind is HoldKind.COPY, tasks.watch)
    assert log_reads(simulator) == 1
    settings.SIMULATOR_UNKNOWN_GRACE = 1.5
    registry.reset()
    release_all()
    simulator.set_faults(refuse_repeated=0, log_lag=0)
    eventually(lambda: statuses() == {"delivered": 10}, run_dry)
    assert_each_sent_once(simulator)


def test_what_was_sent_and_forgotten_is_found_where_nothing_waits(simulator, tmp_path: Path) -> None:
    """A caller who repeats his request, with its Idempotency-Key, would have it sent again."""
    member = MembershipFactory()
    request = campaign_services.CampaignRequest(kind=CampaignKind.SINGLE, message="Hello")
    detection.watch()
    with machine_put_back(tmp_path):
        services.send(member.account, member.user, request, phones(1))
        dispatch.dispatch_ready(Lane.SINGLES)
    assert not detection.may_send()
    tasks.watch()
    assert sending_hold.current().kind is HoldKind.COPY


def test_a_campaign_is_not_made_into_messages_while_the_provider_is_asked(simulator, settings, tmp_path: Path) -> None:
    """They would get other ids than those that were sent, which nobody could compare."""
    settings.CHUNK_SIZE = 2
    make_campaign(count=4)
    detection.watch()
    with machine_put_back(tmp_path):
        expand_ready()
        send()
    assert not send()
    assert expand_ready() == 0
    tasks.watch()
    assert sending_hold.current().kind is HoldKind.COPY
    assert Campaign.objects.get().status_detail == detection.UNCERTAIN
    assert not expand_ready()
    assert not Message.objects.exists()


def test_postgresql_on_another_timeline_asks_however_short_the_stop_was(simulator, tmp_path: Path) -> None:
    running()
    installation = detection._read()
    before = replace(installation.fingerprint, timeline="1000")
    detection.HOME.put(detection.Home(installation.name, before))
    new_connection()
    now = fingerprint.here()
    is_asked = bool(now.timeline)  # not by SQLite
    assert detection.may_send() is not is_asked
    tasks.watch()
    assert detection.may_send()
    assert detection._read().fingerprint == (now if is_asked else before)


def test_a_process_whose_clock_jumps_looks_again(simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a machine that was put back while it ran: its connections go on as if nothing had been."""
    running()
    assert detection.may_send()
    mark = detection.last_mark()
    detection.LAST_ALIVE.put(replace(mark, at=timezone.now() - timedelta(hours=1)))
    assert detection.may_send()
    monkeypatch.setattr(detection._last_look, "clock_offset", detection._last_look.clock_offset - 3600)
    assert not detection.may_send()


# --- an ordinary restart ------------------------------------------------------------------------------------


def test_an_ordinary_restart_costs_one_look_up(simulator) -> None:
    campaign = running()
    stop()
    numbers = Batch.objects.latest("pk").pk
    assert send() == 0
    assert log_reads(simulator) == 0
    tasks.watch()
    assert log_reads(simulator) == 1
    assert detection.may_send()
    eventually(lambda: statuses() == {"delivered": 10}, run_dry)
    assert_each_sent_once(simulator)
    assert_counted(campaign)
    make_campaign(count=1)
    expand_ready()
    assert Batch.objects.latest("pk").pk > numbers + 1000  # ids that may have been given away are not used again


def test_a_stop_in_the_middle_of_calls_is_no_sign_of_a_copy(simulator) -> None:
    """The provider has what the database calls queued and what it calls unknown: by calls that it knows."""
    simulator.set_faults(accept_reset=1)
    make_campaign(count=6)
    expand_ready()
    send_batches(1)
    simulator.set_faults()
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    submit.make_call(opened_of(batch))  # and killed before its answer was recorded
    detection.watch()
    stop()
    assert statuses() == {"unknown": 2, "queued": 4}
    tasks.watch()
    assert detection.may_send()
    assert log_reads(simulator) == 1
    assert simulator.ledger()["accepted"] == 4


def test_messages_of_other_installations_say_nothing(simulator) -> None:
    running()
    stop()
    foreign = [OutgoingMessage(f"zzzzz{'0' * 11}{n}", "+491701234567", "Hi") for n in range(3)]
    simulator.gateway().submit(Submission("zzzzz-1-1", foreign))
    tasks.watch()
    assert detection.may_send()


def test_where_nothing_waits_one_look_up_is_all_too(simulator) -> None:
    make_campaign(count=2)
    run_dry()
    detection.watch()
    eventually(lambda: statuses() == {"delivered": 2}, run_dry)
    make_campaign(count=2, scheduled_at=timezone.now() + timedelta(days=1))
    last = Batch.objects.latest("pk").pk
    reads = log_reads(simulator)
    stop()
    assert not detection.may_send()
    tasks.watch()
    assert detection.may_send()
    assert log_reads(simulator) == reads + 1
    member = MembershipFactory()
    request = campaign_services.CampaignRequest(kind=CampaignKind.SINGLE, message="Hello")
    services.send(member.account, member.user, request, phones(1))
    assert Batch.objects.latest("pk").pk > last + 1000
    assert dispatch.dispatch_ready(Lane.SINGLES) == 1


def test_a_log_of_several_pages_is_read_to_its_end(simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("messaging.gateways.infobip.MAX_PAGE", 2)
    running()
    with machine_put_back(tmp_path):
        send_batches(2)
    tasks.watch()
    assert sending_hold.current().kind is HoldKind.COPY
    assert log_reads(simulator) == 2


# --- no answer ----------------------------------------------------------------------------------------------


def test_a_provider_that_does_not_answer_is_asked_on_and_an_operator_is_told_why(simulator, settings) -> None:
    settings.SIMULATOR_UNKNOWN_GRACE = 0.001
    registry.reset()
    simulator.set_faults(log_outage=1)
    running()
    stop()
    tasks.watch()
    assert (sending_hold.current().kind, attention()[0].is_urgent) == (HoldKind.CHECKING, False)
    assert "HTTP 500" in sending_hold.current().detail
    eventually(lambda: sending_hold.current().kind is HoldKind.CONFIRM, tasks.watch)
    assert attention()[0].is_urgent
    assert log_reads(simulator) == asking.TRIES
    assert send() == 0
    simulator.set_faults()
    eventually(detection.may_send, tasks.watch)


def test_a_provider_that_does_not_answer_keeps_nothing_back_for_long_where_nothing_waits(simulator, settings) -> None:
    settings.SIMULATOR_UNKNOWN_GRACE = 0.001
    registry.reset()
    simulator.set_faults(log_outage=1)
    detection.watch()
    stop()
    assert not detection.may_send()
    eventually(detection.may_send, tasks.watch)
    assert log_reads(simulator) == asking.TRIES


def test_an_operator_may_overrule(simulator) -> None:
    simulator.set_faults(log_outage=1)
    running()
    stop()
    tasks.watch()
    with pytest.raises(CommandError, match="by force"):
        call_command("release")
    assert not detection.may_send()
    call_command("release", force=True)
    assert detection.may_send()
    assert not asking.is_open()


def test_one_process_asks_and_one_that_died_is_followed_by_another(simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    running()
    stop()
    detection.watch()

    def die(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(asking, "_unknown_here", die)
        with pytest.raises(KeyboardInterrupt):
            tasks.watch()
    tasks.watch()
    assert not detection.may_send()  # somebody may still be at it
    asking.QUESTION.put(replace(asking.QUESTION.get(), not_before=1.0))
    tasks.watch()
    assert detection.may_send()


def test_a_hold_whose_question_was_not_written_is_asked_about(simulator) -> None:
    running()
    stop()
    detection.watch()
    asking.end()
    tasks.watch()
    assert detection.may_send()
    assert log_reads(simulator) == 1


def test_the_hold_of_an_operator_stays_and_hides_no_question(simulator) -> None:
    simulator.set_faults(log_outage=1)
    running()
    sending_hold.hold("Wrong text", "anna")
    stop()
    tasks.watch()
    assert (sending_hold.current().kind, sending_hold.current().reason) == (HoldKind.OPERATOR, "Wrong text")
    with pytest.raises(CommandError, match="still waits"):
        call_command("release")
    assert sending_hold.current().kind is HoldKind.CHECKING
    assert send() == 0


# --- gateways without a log -----------------------------------------------------------------------------------


@pytest.fixture
def without_log(simulator) -> Gateway:
    """Live messages go to a provider of which nobody knows what it has."""
    gateway = Gateway(name="acme", kind="twilio", base_url=simulator.url, **in_use())
    gateway.secrets = {"account_sid": "AC1", "auth_token": simulator.api_key, "messaging_service_sid": "MG1"}
    gateway.save()
    Route.objects.create(gateway=gateway)
    return gateway


def test_without_a_log_an_operator_confirms(without_log: Gateway, client: Client, admin_client: Client) -> None:
    make_campaign(count=4)
    expand_ready()
    detection.watch()
    stop()
    tasks.watch()
    held = sending_hold.current()
    assert held.kind is HoldKind.CONFIRM
    assert held.reason.startswith("Gateway acme cannot tell whether anything was sent meanwhile. Confirm that")
    assert "Nothing was sent or looked after since" in held.detail
    assert client.get("/health").json()["data"]["sending"] == "held"
    assert attention()[0].is_urgent
    assert "If smsapp was only stopped for a while" in admin_client.get("/admin/sending/").content.decode()
    tasks.watch()
    assert send() == 0
    call_command("release")
    assert detection.may_send()
    assert send() > 0


def test_without_a_log_and_with_nothing_that_waits_nobody_has_to_confirm(without_log: Gateway) -> None:
    detection.watch()
    stop()
    assert detection.may_send()


def test_what_is_accepted_after_the_start_needs_no_confirmation(simulator, settings, without_log: Gateway) -> None:
    settings.LOG_LAG = 0
    other = Gateway(name="other", kind="infobip", base_url=simulator.url, **in_use())
    other.secrets = {"api_key": simulator.api_key}
    other.save()
    Route.objects.create(gateway=other)
    detection.watch()
    stop()
    assert not detection.may_send()
    make_campaign(count=1)
    tasks.watch()
    assert detection.may_send()


def test_an_operator_who_knows_of_the_backup_has_it_compared(without_log: Gateway) -> None:
    make_campaign(count=4)
    expand_ready()
    detection.watch()
    stop()
    tasks.watch()
    release.request("anna", check=True)
    assert sending_hold.current().kind is HoldKind.COPY
    assert not asking.is_open()


def test_a_question_of_an_older_version_keeps_what_waits_back(simulator) -> None:
    simulator.set_faults(log_outage=1)
    running()
    stop()
    detection.watch()
    row = Setting.objects.get(key=asking.KEY)
    stored = json.loads(row.value)
    row.value = json.dumps({name: value for name, value in stored.items() if name not in ("carriers", "put_at")})
    row.save()
    tasks.watch()
    assert asking.QUESTION.get().carriers == ("simulator",)
    assert not detection.may_send()


def test_health_says_checking(simulator, client: Client) -> None:
    running()
    stop()
    detection.watch()
    told = client.get("/health").json()["data"]
    assert (told["status"], told["sending"], told["hold_reason"]) == ("DEGRADED", "checking", asking.REASON)
