"""What no route leads to waits: nothing fails at once, somebody is told, and a route that is added takes it away."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.choices import Mode
from accounts.security import sending_hold
from accounts.security.sending_hold import HoldKind
from campaigns import services as campaigns
from campaigns.choices import CampaignKind, CampaignStatus, PauseReason
from campaigns.models import Campaign
from campaigns.validation import CampaignRequest
from messaging import services
from messaging.choices import BatchState, GatewayKind, Lane, MessageStatus
from messaging.gateways import registry
from messaging.gateways.base import SubmitAnswer
from messaging.models import Attempt, Batch, Gateway, Message, Route
from messaging.preflight.receipt import preflight
from messaging.routing import failover, router
from messaging.sending import dispatch, expansion, unrouted
from messaging.upkeep import sweeps
from reports.selectors import attention
from tests.support.factories import AccountFactory, MembershipFactory, make_campaign, phones
from uploads.audiences import audience_from_numbers

pytestmark = pytest.mark.django_db

GERMAN, AUSTRIAN, OTHER_AUSTRIAN, AMERICAN = "+4915112000001", "+436641234567", "+436991234567", "+12125550100"


class Taking:
    """A gateway that takes all."""

    def __init__(self, name: str) -> None:
        self.name, self.policy, self.seen = name, registry.policy_of("local"), list[str]()

    def submit(self, submission: Any) -> SubmitAnswer:
        self.seen += [message.phone_number for message in submission.messages]
        return SubmitAnswer(200, accepted=[message.message_id for message in submission.messages])


@pytest.fixture(autouse=True)
def fresh(settings: Any) -> Any:
    settings.GATEWAYS_READ_EVERY = 0.0
    settings.PUBLIC_URL = ""
    registry.reset()
    router.forget()
    yield
    registry.reset()
    router.forget()


@pytest.fixture
def local() -> Gateway:
    row = Gateway(name="local", kind=GatewayKind.INFOBIP, base_url="http://127.0.0.1:9", is_enabled=True)
    row.secrets = {"api_key": "key"}
    row.save()
    return row


@pytest.fixture
def taking(local: Gateway, monkeypatch: pytest.MonkeyPatch) -> Taking:
    """Only +43 has a route."""
    Route.objects.create(gateway=local, prefix="43")
    gateway = Taking("local")
    monkeypatch.setattr(registry, "get", lambda name: gateway)
    return gateway


def send(*numbers: str, mode: Mode = Mode.LIVE) -> services.Sent:
    member = MembershipFactory()
    request = CampaignRequest(kind=CampaignKind.SINGLE, message="Hello", mode=mode)
    return services.send(member.account, member.user, request, numbers)


def bulk(*numbers: str) -> Campaign:
    account = AccountFactory()
    campaign = make_campaign(account, audience=audience_from_numbers(account, list(enumerate(numbers, 1))))
    expansion.expand_ready()
    campaign.refresh_from_db()
    return campaign


def go_on(*rows: Campaign) -> None:
    """What the workers do within seconds."""
    for _ in range(2):
        sweeps.sweep()
        for lane in Lane:
            dispatch.dispatch_ready(lane, seconds=0.3)
    for row in rows:
        row.refresh_from_db()


def titles() -> list[str]:
    return [notice.title for notice in attention()]


def test_a_single_send_without_a_road_is_accepted_and_waits(taking: Taking) -> None:
    sent = send(GERMAN)
    assert [message.status for message in sent.messages] == [MessageStatus.QUEUED]
    go_on(sent.campaign)
    batch = sent.campaign.batches.get()
    assert (batch.state, batch.gateway, batch.prefix) == (BatchState.DEFERRED, "", "49151")
    assert batch.route_note == "No route leads to +49151…."
    assert (sent.campaign.queued, sent.campaign.failed, sent.campaign.status) == (1, 0, CampaignStatus.RUNNING)
    assert not Attempt.objects.exists()
    assert titles() == ["Sends that wait for a route"]


def test_it_leaves_when_a_route_is_added_even_a_finer_one(taking: Taking, local: Gateway) -> None:
    sent = [send(GERMAN), send(AMERICAN)]
    go_on()
    Route.objects.create(gateway=local, prefix="49151")
    Route.objects.create(gateway=local, prefix="1")
    go_on(*(one.campaign for one in sent))
    assert sorted(taking.seen) == sorted([GERMAN, AMERICAN])
    assert {one.campaign.status for one in sent} == {CampaignStatus.COMPLETED}
    assert all("route" in batch.route_note and batch.gateway == "local" for batch in Batch.objects.all())
    assert not titles()


def test_saving_a_route_wakes_who_looks(
    local: Gateway, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    woken: list[str] = []
    monkeypatch.setattr("smsapp.core.enqueue._send", lambda task, ids, after: woken.append(task))
    with django_capture_on_commit_callbacks(execute=True):
        Route.objects.create(gateway=local, prefix="49")
    assert woken == ["messaging.sweep"]


def test_a_campaign_of_which_nothing_has_a_road_is_paused_and_nothing_has_failed(taking: Taking) -> None:
    campaign = bulk(*phones(30), AMERICAN)
    go_on(campaign)
    assert (campaign.status, campaign.pause_reason) == (CampaignStatus.PAUSED, PauseReason.NO_ROUTE)
    assert campaign.status_detail == "No route leads to +1212…, +49151…."
    assert (campaign.queued, campaign.failed) == (31, 0)
    assert titles() == ["Campaigns paused: no route leads to some of their recipients"]


def test_what_has_a_road_goes_first(taking: Taking) -> None:
    campaign = bulk(GERMAN, AUSTRIAN, OTHER_AUSTRIAN)
    sweeps.sweep()
    campaign.refresh_from_db()
    assert campaign.status == CampaignStatus.RUNNING, "something can leave"
    go_on(campaign)
    assert (sorted(taking.seen), campaign.queued) == ([AUSTRIAN, OTHER_AUSTRIAN], 1)
    assert (campaign.status, campaign.pause_reason) == (CampaignStatus.PAUSED, PauseReason.NO_ROUTE)


def test_resuming_goes_on_once_there_is_a_route_and_stops_again_without(taking: Taking, local: Gateway) -> None:
    campaign = bulk(GERMAN, AMERICAN)
    go_on(campaign)
    user = MembershipFactory(account=campaign.account).user
    campaigns.resume(campaign, user)
    go_on(campaign)
    assert campaign.pause_reason == PauseReason.NO_ROUTE
    Route.objects.create(gateway=local, prefix="49")
    campaigns.resume(campaign, user)
    go_on(campaign)
    assert (taking.seen, campaign.status) == ([GERMAN], CampaignStatus.PAUSED)
    assert campaign.status_detail == "No route leads to +1212…."
    Route.objects.create(gateway=local)
    campaigns.resume(campaign, user)
    go_on(campaign)
    assert (campaign.status, campaign.queued) == (CampaignStatus.COMPLETED, 0)


def test_a_campaign_that_is_still_made_into_messages_is_not_paused(taking: Taking) -> None:
    campaign = bulk(GERMAN)
    Campaign.objects.update(chunk_count=2)
    sweeps.sweep()
    campaign.refresh_from_db()
    assert campaign.status == CampaignStatus.RUNNING


def test_waiting_writes_nothing(taking: Taking) -> None:
    send(GERMAN)
    go_on()
    before = list(Batch.objects.values())
    go_on()
    go_on()
    assert list(Batch.objects.values()) == before


def test_others_are_not_held_up_and_keep_their_turns(taking: Taking) -> None:
    for _ in range(3):
        send(GERMAN)
    sent = send(AUSTRIAN)
    dispatch.dispatch_ready(Lane.SINGLES, seconds=0.3)
    assert taking.seen == [AUSTRIAN]
    assert sent.campaign.batches.get().turn == 0


def test_a_single_send_fails_when_its_time_is_over(taking: Taking, local: Gateway, settings: Any) -> None:
    settings.NO_ROUTE_HOURS = 24.0
    late, later = send(GERMAN, AUSTRIAN), send(AMERICAN)
    Batch.objects.update(created_at=timezone.now() - timedelta(hours=23, minutes=59))
    go_on()
    assert not Message.objects.filter(status=MessageStatus.FAILED).exists()
    Batch.objects.filter(campaign=late.campaign).update(created_at=timezone.now() - timedelta(hours=24, minutes=1))
    go_on(late.campaign, later.campaign)
    failed = Message.objects.get(status=MessageStatus.FAILED)
    assert (failed.phone_number, failed.reason) == (GERMAN, "no_route")
    assert (late.campaign.status, later.campaign.queued) == (CampaignStatus.COMPLETED, 1)


def test_under_a_restored_copy_nothing_fails(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = send(GERMAN)
    Batch.objects.update(created_at=timezone.now() - timedelta(days=9))
    monkeypatch.setattr("messaging.restore.detection.is_uncertain", lambda: True)
    unrouted.look(timezone.now())
    sent.campaign.refresh_from_db()
    assert sent.campaign.failed == 0


def test_a_gateway_that_is_only_off_is_waited_for_and_hides_no_others(
    taking: Taking, local: Gateway, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unrouted, "CLOSED_AT_ONCE", 1)
    off, nowhere = send(AUSTRIAN), send(GERMAN)
    Route.objects.filter(gateway=local, prefix="43").delete()
    Route.objects.create(gateway=local, prefix="1")
    Route.objects.create(gateway=Gateway.objects.create(name="off", kind="http", is_enabled=False), prefix="43")
    Batch.objects.filter(campaign__in=[off.campaign, nowhere.campaign]).update(gateway="", state=BatchState.DEFERRED)
    Batch.objects.update(created_at=timezone.now() - timedelta(days=9))
    for _ in range(2):
        unrouted.look(timezone.now())
    for sent in (off, nowhere):
        sent.campaign.refresh_from_db()
    assert (off.campaign.failed, nowhere.campaign.failed) == (0, 1)


def test_under_a_hold_nothing_fails(taking: Taking) -> None:
    sent = send(GERMAN)
    Batch.objects.update(created_at=timezone.now() - timedelta(days=9))
    sending_hold.hold("Wrong text", "anna")
    unrouted.look(timezone.now())
    sent.campaign.refresh_from_db()
    assert sent.campaign.failed == 0
    sending_hold.release(HoldKind.OPERATOR)
    unrouted.look(timezone.now())
    sent.campaign.refresh_from_db()
    assert sent.campaign.failed == 1


def test_a_set_up_that_cannot_be_read_is_no_missing_route(taking: Taking, local: Gateway) -> None:
    """The route is there: nothing is paused, and nothing fails, however long it takes."""
    Route.objects.all().delete()
    Route.objects.create(gateway=local)
    Gateway.objects.update(credentials="not encrypted")
    registry.reset()
    sent, campaign = send(GERMAN), bulk(GERMAN)
    Batch.objects.update(created_at=timezone.now() - timedelta(days=9))
    go_on(sent.campaign, campaign)
    assert (sent.campaign.queued, campaign.queued, campaign.status) == (1, 1, CampaignStatus.RUNNING)
    local.save()
    go_on(sent.campaign, campaign)
    assert (sent.campaign.queued, campaign.queued) == (0, 0)


def test_a_worker_of_before_may_have_left_it_ready(taking: Taking) -> None:
    sent = send(GERMAN)
    Batch.objects.update(state=BatchState.READY)
    assert failover.move_all() == 0
    go_on(sent.campaign)
    assert Batch.objects.get().state == BatchState.DEFERRED
    assert sent.campaign.status == CampaignStatus.RUNNING, "no gateway of its was taken away"


def test_quiet_hours_end_and_it_still_waits(taking: Taking, local: Gateway) -> None:
    campaign = bulk(GERMAN, AUSTRIAN)
    Batch.objects.filter(gateway="").update(release_at=timezone.now() - timedelta(minutes=1))
    sweeps.sweep()
    held = Batch.objects.get(gateway="")
    assert (held.state, held.release_at) == (BatchState.DEFERRED, None)
    Route.objects.create(gateway=local, prefix="49")
    go_on(campaign)
    assert campaign.status == CampaignStatus.COMPLETED


def test_test_mode_knows_no_routes(local: Gateway) -> None:
    Route.objects.create(gateway=local, prefix="43")
    assert send(GERMAN, mode=Mode.TEST).campaign.batches.get().gateway == registry.SIMULATOR


def test_the_receipt_warns_before(local: Gateway) -> None:
    Route.objects.create(gateway=local, prefix="43")
    account = AccountFactory()
    numbers = list(enumerate([GERMAN, AUSTRIAN, AMERICAN], 1))
    later = timezone.now() + timedelta(days=1)
    campaign = make_campaign(account, audience=audience_from_numbers(account, numbers), scheduled_at=later)
    (warning,) = preflight(campaign).warnings
    assert warning.code == "no_route"
    assert " 2 of the recipients" in warning.message


def test_the_customer_reads_why(client: Client, taking: Taking) -> None:
    campaign = bulk(GERMAN)
    go_on(campaign)
    client.force_login(MembershipFactory(account=campaign.account).user)
    page = client.get(reverse("campaign-detail", args=[campaign.bulk_id])).content.decode()
    assert "No route leads to +49151…" in page
    assert "No messages have failed" in page


def test_the_console_lists_what_waits(admin_client: Client, taking: Taking) -> None:
    waits, left = send(GERMAN), send(AUSTRIAN)
    go_on()
    url = reverse("admin:messaging_batch_changelist") + "?state=unrouted"
    rows = list(admin_client.get(url).context["cl"].result_list)
    assert [row.campaign_id for row in rows] == [waits.campaign.pk]
    assert left.campaign.pk not in [row.campaign_id for row in rows]
