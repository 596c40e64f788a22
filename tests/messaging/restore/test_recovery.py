"""What was sent in the time that a restored database has forgotten is taken in from the provider's log."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.test import Client

from accounts.models import Account, AuditEvent, LedgerEntry
from accounts.security import sending_hold
from campaigns import services as campaign_services
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from messaging import services
from messaging.choices import FactSource, Lane, MessageStatus
from messaging.gateways import registry
from messaging.gateways.base import OutgoingMessage, Submission
from messaging.ids import CallName, installation_prefix, public_id, read_call_name
from messaging.message_text import text_of
from messaging.models import Attempt, Batch, DeliveryReport, Message
from messaging.outcomes import reconciliation, report_inbox
from messaging.restore import asking, detection, recovery, release
from messaging.sending import dispatch
from messaging.sending.expansion import expand_ready
from smsapp.core import clock
from tests.support.factories import MembershipFactory, make_api_key, make_campaign, phones
from tests.support.pipeline.assertions import assert_counted
from tests.support.pipeline.restores import lost_time, machine_put_back, release_all
from tests.support.pipeline.rounds import eventually, run_dry, send, statuses
from tests.support.pipeline.steps import expand_one_chunk, send_batches
from tests.support.servers.simulators import RunningSimulator, running_simulator

pytestmark = pytest.mark.django_db
SINGLE = campaign_services.CampaignRequest(kind=CampaignKind.SINGLE, message="Your code is 4711")


@pytest.fixture
def simulator(settings: Any) -> Iterator[RunningSimulator]:
    """One whose log keeps texts, as a provider's does."""
    with running_simulator(undelivered=0.0, rejected=0.0, report_delay_ms=0.0, keep_text=True) as running:
        settings.SIMULATOR_URL, settings.SIMULATOR_API_KEY = running.url, running.api_key
        settings.SIMULATOR_UNKNOWN_GRACE = 0.1
        running.set_faults(refuse_repeated=0)
        registry.reset()
        yield running
    registry.reset()


def send_singles(member: Any, count: int, text: str = "Your code is 4711") -> list[str]:
    """Ids that were answered with 202, each in a call of its own."""
    request = campaign_services.CampaignRequest(kind=CampaignKind.SINGLE, message=text)
    ids = []
    for phone in phones(count):
        ids += [message.message_id for message in services.send(member.account, member.user, request, [phone]).messages]
        dispatch.dispatch_ready(Lane.SINGLES)
    return ids


def reports_come() -> None:
    eventually(lambda: statuses() == {"delivered": Message.objects.count()}, take_reports)


def take_reports() -> None:
    report_inbox.poll()
    report_inbox.apply_waiting()


def assert_all_known(simulator: RunningSimulator) -> None:
    """What the provider has is what we have, each once."""
    accepted = Counter(simulator.accepted_ids())
    assert set(accepted.values()) == {1}
    assert set(accepted) == {message.message_id for message in Message.objects.exclude(sent_at=None)}


def test_sends_answered_with_202_after_the_backup_are_there_again(simulator) -> None:
    member = MembershipFactory()
    make_campaign(member.account, count=4)
    expand_ready()
    detection.watch()
    with lost_time():
        answered = send_singles(member, 5)
        send_batches(1)
        bulk_ids = set(Campaign.objects.filter(kind=CampaignKind.SINGLE).values_list("bulk_id", flat=True))
        detection.watch()
    assert send() == 0
    assert sending_hold.is_held()
    release_all()
    found = Message.objects.filter(campaign__kind=CampaignKind.SINGLE).select_related("campaign")
    assert {message.message_id for message in found} == set(answered)
    assert {message.campaign.bulk_id for message in found} == bulk_ids
    assert {text_of(message) for message in found} == {"Your code is 4711"}
    assert {message.phone_number for message in found} == set(phones(5))
    assert recovery.REPORT.get().placed == {member.account.name: 5}
    eventually(lambda: statuses() == {"delivered": 9}, run_dry)
    assert_all_known(simulator)
    for campaign in Campaign.objects.all():
        assert_counted(campaign)
    assert set(Campaign.objects.values_list("status", flat=True)) == {CampaignStatus.COMPLETED}
    assert simulator.ledger()["repeated_posts"] == 0


def test_outcomes_reported_in_the_lost_time_are_taken_from_the_log(simulator) -> None:
    """Of messages that the database still knows as sent: their reports came once, and do not come again."""
    campaign = make_campaign(count=4)
    expand_ready()
    send_batches(2)
    detection.watch()
    with lost_time():
        reports_come()
        detection.watch()
    assert statuses() == {"sent": 4}
    detection.check()
    release_all()
    assert statuses() == {"delivered": 4}
    assert set(DeliveryReport.objects.values_list("source", flat=True)) == {FactSource.LOOKUP}
    assert_counted(campaign)
    page = registry.get("simulator").read_log(detection.last_mark().at - timedelta(minutes=1), clock.now())
    recovery.recover_messages("simulator", page.entries, clock.now())  # as after a kill between two steps
    assert DeliveryReport.objects.count() == 4


def test_what_was_sent_before_that_time_and_reported_in_it_is_looked_up_at_once(
    simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a call that was to be looked up again much later."""
    monkeypatch.setattr(asking, "SLACK", timedelta(0))
    make_campaign(count=4)
    expand_ready()
    send_batches(2)
    Attempt.objects.filter(pk=Attempt.objects.earliest("pk").pk).update(next_lookup_at=clock.now() + timedelta(hours=9))
    time.sleep(0.1)
    detection.watch()
    with lost_time():
        reports_come()
        detection.watch()
    detection.check()
    release_all()
    assert statuses() == {"sent": 4}
    reconciliation.reconcile()
    assert statuses() == {"delivered": 4}


def test_nothing_of_it_is_charged_and_statistics_count_it(simulator) -> None:
    member = MembershipFactory()
    detection.watch()
    with lost_time():
        send_singles(member, 3)
        detection.watch()
    detection.check()
    release_all()
    assert set(Batch.objects.values_list("price_micro", flat=True)) == {0}
    assert not LedgerEntry.objects.exists()
    assert sum(Batch.objects.values_list("segments", flat=True)) == 3


def test_a_message_that_was_taken_in_can_be_asked_for_as_before(simulator, client: Client) -> None:
    key, text = make_api_key()
    member = key.account.memberships.get()
    detection.watch()
    with lost_time():
        (message_id,) = send_singles(member, 1)
        detection.watch()
    path, headers = f"/api/v1/messages/{message_id}", {"X-API-Key": text}
    assert client.get(path, headers=headers).status_code == 404
    detection.check()
    release_all()
    told = client.get(path, headers=headers).json()["data"]
    assert told["status"] in ("SENT", "DELIVERED")


def test_what_a_known_campaign_sent_from_chunks_that_are_forgotten_stands_beside_it(simulator, settings) -> None:
    settings.CHUNK_SIZE = 2
    campaign = make_campaign(count=6)
    expand_one_chunk(campaign)
    detection.watch()
    with lost_time():
        expand_ready()
        send()
        detection.watch()
    detection.check()
    release_all()
    beside = Campaign.objects.exclude(pk=campaign.pk).get()
    assert (beside.account_id, beside.user_id, beside.name) == (campaign.account_id, campaign.user_id, recovery.NAME)
    assert beside.total_recipients == 4
    assert Campaign.objects.get(pk=campaign.pk).status == CampaignStatus.PAUSED
    assert_all_known(simulator)
    assert_counted(beside)


def test_several_pages_of_the_log_are_one_campaign_and_nothing_is_taken_in_twice(
    simulator, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BATCH_SIZE = 5
    monkeypatch.setattr("messaging.gateways.infobip.MAX_PAGE", 3)
    member = MembershipFactory()
    detection.watch()
    with lost_time():
        services.send(member.account, member.user, SINGLE, phones(8))
        dispatch.dispatch_ready(Lane.SINGLES)
        detection.watch()
    detection.check()
    before = detection.last_mark()
    release_all()
    assert (Campaign.objects.count(), Batch.objects.count(), Message.objects.count()) == (1, 2, 8)
    page = registry.get("simulator").read_log(before.at - asking.SLACK, clock.now())
    recovery.recover_messages("simulator", page.entries, before.at)  # as after a kill between two steps
    assert recovery.REPORT.get().count == Message.objects.count() == 8
    assert_counted(Campaign.objects.get())
    assert_all_known(simulator)


def test_what_belongs_to_nobody_is_listed(simulator, capsys: pytest.CaptureFixture[str], admin_client: Client) -> None:
    """An account that was made after the backup, and a call that was named before names said whose it is."""
    detection.watch()
    with lost_time():
        (of_unknown,) = send_singles(MembershipFactory(), 1)
        detection.watch()
    nameless = public_id(9_000_000 << 10)
    message = OutgoingMessage(nameless, "+491701234567", "Hi")
    simulator.gateway().submit(Submission(f"{installation_prefix()}-9000000-1", [message]))
    detection.check()
    call_command("release")
    found = recovery.REPORT.get()
    assert set(found.unplaced) == {of_unknown, nameless}
    assert not Message.objects.exists()
    told = capsys.readouterr().out
    page = admin_client.get("/admin/sending/").content.decode()
    for message_id in (of_unknown, nameless):
        assert f"Not placed: {message_id}" in told
        assert message_id in page
    assert "+491701234567" not in told + page
    event = AuditEvent.objects.get(action="sending.released")
    assert event.after["not_placed"] == 2


def test_a_number_that_another_account_has_now_is_no_proof(simulator) -> None:
    detection.watch()
    with lost_time():
        member = MembershipFactory()
        send_singles(member, 1)
        detection.watch()
    namesake = MembershipFactory(account__id=member.account_id).account
    type(namesake).objects.filter(pk=namesake.pk).update(created_at=clock.now() + timedelta(minutes=1))
    detection.check()
    release_all()
    assert recovery.REPORT.get().unplaced_count == 1
    assert not Message.objects.exists()


def test_a_log_that_cannot_be_read_keeps_the_hold_until_an_operator_insists(simulator, settings) -> None:
    settings.SIMULATOR_UNKNOWN_GRACE = 0.002
    registry.reset()
    member = MembershipFactory()
    detection.watch()
    with lost_time():
        send_singles(member, 1)
        detection.watch()
    detection.check()
    simulator.set_faults(log_outage=1)
    Attempt.objects.all().delete()
    release.request("anna")
    eventually(lambda: release.progress().state == release.REFUSED, release.take_step)
    assert sending_hold.is_held()
    release_all(force=True)
    assert recovery.REPORT.get().untold == [
        "Gateway simulator: The log could not be read: The provider answered with an error (HTTP 500, E500)"
    ]


def test_a_machine_that_was_put_back_loses_nothing_either(simulator, tmp_path: Path) -> None:
    member = MembershipFactory()
    Account.objects.update(created_at=clock.now() - timedelta(days=1))
    make_campaign(member.account, count=4)
    expand_ready()
    detection.watch()
    with machine_put_back(tmp_path):
        answered = send_singles(member, 2)
        send_batches(1)
    detection.watch()
    detection.ask()
    release_all()
    assert set(answered) <= {message.message_id for message in Message.objects.all()}
    eventually(lambda: statuses() == {"delivered": 6}, run_dry)
    assert_all_known(simulator)


def test_calls_say_whose_they_are() -> None:
    name = CallName(123_456_789, 17, 42, "live", "bulk-0123456789abcdef0123")
    assert read_call_name(name.reference) == name
    assert len(CallName(10**14 - 1, 9999, 10**7 - 1, "live", "bulk-0123456789abcdef0123").reference) <= 60
    assert read_call_name(f"{installation_prefix()}-7-2") == CallName(7, 2)
    for strange in ("", "zzzzz-7-2", f"{installation_prefix()}-7", f"{installation_prefix()}-7-2-1x-0", "7-2"):
        assert read_call_name(strange) is None


def test_a_send_names_account_mode_and_campaign(simulator) -> None:
    member = MembershipFactory()
    send_singles(member, 1)
    (told,) = simulator.messages()
    name = read_call_name(told["reference"])
    assert (name.account_id, name.mode) == (member.account_id, "live")
    assert name.bulk_id == Campaign.objects.get().bulk_id
    with transaction.atomic():
        assert Message.objects.get().status == MessageStatus.SENT
