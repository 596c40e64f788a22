"""Above an account's threshold a second person approves exactly what is then sent."""

import hashlib
import re
from datetime import UTC, time, timedelta

import orjson
import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.choices import Role
from accounts.models import AuditEvent
from campaigns import drafts, services
from campaigns.approval import audience_hash, content_hash, is_void
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from campaigns.recipients import RecipientSource
from campaigns.scheduling import starting
from campaigns.validation import CampaignRequest
from messaging.choices import MessageStatus, Reason
from messaging.models import Batch, Message
from messaging.outcomes.settlement import control
from messaging.sending.expansion import expand_ready
from messaging.sending.resending import fill_resends
from messaging.services import resend_failed, send
from smsapp.core.exceptions import InvalidState, PermissionDenied, ScheduleInPast, TooManyRecipients
from tests.support.factories import AccountFactory, MembershipFactory, make_audience, phones
from tests.support.together import patiently, run_together
from uploads.models import AudienceChunk

pytestmark = pytest.mark.django_db

S = CampaignStatus


@pytest.fixture
def account():
    return AccountFactory(approval_above=3)


@pytest.fixture
def sender(account):
    return MembershipFactory(account=account, role=Role.SENDER).user


@pytest.fixture
def admin(account):
    return MembershipFactory(account=account, role=Role.ADMIN).user


def draft_of(account, by, count: int = 4, **options) -> Campaign:
    request = CampaignRequest(kind=CampaignKind.BULK, message="Hello", **options)
    return drafts.create_draft(account, by, request, RecipientSource(phone_numbers=phones(count)))[0]


def waiting_of(account, by, **options) -> Campaign:
    return services.launch(draft_of(account, by, **options), by)


@pytest.mark.parametrize(("count", "status"), [(3, S.RUNNING), (4, S.AWAITING_APPROVAL)])
def test_more_recipients_than_the_threshold_wait_for_a_second_person(account, admin, count, status):
    campaign = services.launch(draft_of(account, admin, count), admin)
    assert campaign.status == status
    expand_ready()
    assert Batch.objects.exists() == (status == S.RUNNING)


def test_without_a_threshold_nobody_is_asked(admin):
    account = AccountFactory()
    assert services.launch(draft_of(account, admin, 100), admin).status == S.RUNNING


def test_the_call_that_makes_and_launches_at_once_waits_too(account, sender):
    request = CampaignRequest(kind=CampaignKind.BULK, message="Hello")
    campaign = services.create_campaign(account, sender, request, make_audience(account, 4))
    assert (campaign.status, campaign.approval_requested_by) == (S.AWAITING_APPROVAL, sender)


def test_a_single_send_of_so_many_is_refused(account, sender):
    request = CampaignRequest(kind=CampaignKind.SINGLE, message="Hello")
    with pytest.raises(TooManyRecipients) as error:
        send(account, sender, request, phones(4))
    assert error.value.details["max"] == 3
    assert not Campaign.objects.exists()


def test_an_approved_campaign_runs_and_says_who(account, sender, admin):
    waiting = waiting_of(account, sender)
    assert waiting.approval_requested_by == sender
    approved = services.approve(waiting, admin, waiting.approval_hash)
    assert (approved.status, approved.approved_by) == (S.RUNNING, admin)
    expand_ready()
    assert Batch.objects.get().size == 4
    assert list(AuditEvent.objects.order_by("pk").values_list("action", "user"))[-3:] == [
        ("campaign.approval_requested", sender.pk),
        ("campaign.approved", admin.pk),
        ("campaign.started", admin.pk),
    ]


@pytest.mark.parametrize("role", [Role.SENDER, Role.VIEWER])
def test_only_owners_and_admins_approve(account, sender, role):
    waiting = waiting_of(account, sender)
    with pytest.raises(PermissionDenied):
        services.approve(waiting, MembershipFactory(account=account, role=role).user)
    with pytest.raises(PermissionDenied):
        services.approve(waiting, MembershipFactory(role=Role.OWNER).user)
    assert Campaign.objects.get().status == S.AWAITING_APPROVAL


def test_first_recipients_in_percent_are_approved_and_changed_like_any(account, sender, admin):
    waiting = waiting_of(account, sender, count=20)
    draft = services.withdraw(waiting, sender)
    drafts.change_draft(draft, sender, {"canary_percent": 10})
    waiting = services.launch(Campaign.objects.get(), sender)
    assert waiting.canary_size == 2
    assert services.approve(waiting, admin).status == S.RUNNING


def test_nobody_approves_their_own_launch(account, admin):
    waiting = waiting_of(account, admin)
    with pytest.raises(PermissionDenied):
        services.approve(waiting, admin)
    assert Campaign.objects.get().status == S.AWAITING_APPROVAL


def test_who_asked_is_whoever_launched_it_last(account, sender, admin):
    """The approver takes it back and launches it: now they are the first person, and somebody else the second."""
    withdrawn = services.withdraw(waiting_of(account, sender), admin)
    waiting = services.launch(withdrawn, admin)
    with pytest.raises(PermissionDenied):
        services.approve(waiting, admin)
    owner = MembershipFactory(account=account, role=Role.OWNER).user
    assert services.approve(waiting, owner).status == S.RUNNING


def test_a_rejected_campaign_is_a_draft_again_and_says_why(account, sender, admin):
    waiting = waiting_of(account, sender)
    rejected = services.reject(waiting, admin, "The date is wrong.")
    assert (rejected.status, rejected.approval_hash) == (S.DRAFT, "")
    assert rejected.status_detail == f"Not approved by {admin.username}: The date is wrong."
    event = AuditEvent.objects.get(action="campaign.rejected")
    assert (event.user, event.after["comment"]) == (admin, "The date is wrong.")
    again = services.launch(rejected, sender)
    assert (again.status, again.status_detail) == (S.AWAITING_APPROVAL, "")


def test_only_who_may_approve_may_reject_and_only_what_waits(account, sender, admin):
    waiting = waiting_of(account, sender)
    with pytest.raises(PermissionDenied):
        services.reject(waiting, sender, "No")
    services.approve(waiting, admin)
    with pytest.raises(InvalidState):
        services.reject(waiting, admin, "Too late")
    assert Campaign.objects.get().status == S.RUNNING


def test_an_approval_can_be_undone_for_a_while(account, sender, admin):
    approved = services.approve(waiting_of(account, sender), admin, undo_for=timedelta(seconds=30))
    assert approved.status == S.SCHEDULED
    assert approved.approval_hash == content_hash(approved)
    assert starting.start_due(timezone.now()) == 0
    assert services.withdraw(approved, sender).status == S.DRAFT


def test_an_approval_that_nobody_undoes_starts(account, sender, admin):
    services.approve(waiting_of(account, sender), admin, undo_for=timedelta(seconds=5))
    assert starting.start_due(timezone.now() + timedelta(seconds=6)) == 1
    assert Campaign.objects.get().status == S.RUNNING


@pytest.mark.parametrize(
    "change",
    [
        {"callback_url": "https://example.com/other"},
        {"quiet_from": time(20)},
        {"quiet_until": time(9)},
        {"canary_size": 1},
        {"canary_percent": 50},
        {"canary_wait": 60},
        {"canary_floor": 10},
        {"message": "Other"},
        {"sender_id": "Brand"},
        {"valid_until": timezone.now() + timedelta(days=1)},
        {"scheduled_at": timezone.now() + timedelta(days=1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_what_is_sent_voids_the_approval(account, sender, change):
    waiting = waiting_of(account, sender)
    assert not is_void(waiting)
    for name, value in change.items():
        setattr(waiting, name, value)
    assert is_void(waiting)


def test_a_share_of_the_first_is_not_taken_for_as_many(account, sender):
    waiting = waiting_of(account, sender, count=20, canary_percent=10)
    assert not is_void(waiting)
    waiting.canary_percent, waiting.canary_size = None, 10
    assert is_void(waiting)


def former_hash(campaign: Campaign, *more: object) -> str:
    times = (moment and moment.astimezone(UTC).isoformat() for moment in (campaign.scheduled_at, campaign.valid_until))
    content = [campaign.message, campaign.sender_id, *more[:1], *times, *more[1:], audience_hash(campaign.audience)]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


@pytest.mark.parametrize("more", [(), ("", "None", "None", 10, 900, 80)], ids=["the first", "the second"])
def test_what_waited_during_an_upgrade_can_be_approved_if_it_is_the_same(account, sender, admin, more):
    waiting = waiting_of(account, sender, count=20, canary_percent=10)
    Campaign.objects.update(approval_hash=(seen := former_hash(waiting, *more)))
    Campaign.objects.update(message="Other")
    with pytest.raises(InvalidState):
        services.approve(Campaign.objects.get(), admin, seen)
    Campaign.objects.update(message="Hello")
    assert services.approve(Campaign.objects.get(), admin, seen).status == S.RUNNING


def test_the_page_shows_what_would_be_sent_before_anybody_decides(client, account, sender, admin):
    waiting = waiting_of(account, sender)
    client.force_login(admin)
    page = client.get(reverse("campaign-approve", args=[waiting.bulk_id])).content.decode()
    assert "Approve 4 text messages" in page
    assert "What recipients see" in page
    assert f'name="approval_hash" value="{waiting.approval_hash}"' in page
    assert client.post(reverse("campaign-approve", args=[waiting.bulk_id]), {"act": "reject"}).status_code == 422
    client.post(reverse("campaign-approve", args=[waiting.bulk_id]), {"act": "reject", "comment": "Not today"})
    assert Campaign.objects.get().status == S.DRAFT
    client.force_login(sender)
    shown = client.get(reverse("wizard-review", args=[waiting.bulk_id])).content.decode()
    assert "Not today" in shown


def test_the_page_steps_through_the_recipients(client, account, sender, admin):
    waiting = waiting_of(account, sender)
    client.force_login(admin)
    page = client.get(reverse("campaign-approve", args=[waiting.bulk_id])).content.decode()
    form = dict(re.findall('<input type="hidden" name="([^"]+)" value="([^"]*)">', page.partition('id="row-form"')[2]))
    assert "compose.js" in page
    for place, number in enumerate(phones(2)):
        assert number in client.post(reverse("wizard-composed"), form | {"index": str(place)}).content.decode()


def test_from_the_page_an_approval_can_be_undone(client, settings, account, sender, admin):
    settings.UNDO_SECONDS = 30
    waiting = waiting_of(account, sender)
    client.force_login(admin)
    values = {"act": "approve", "approval_hash": waiting.approval_hash, "comment": "Fine"}
    answer = client.post(reverse("campaign-approve", args=[waiting.bulk_id]), values, follow=True)
    assert Campaign.objects.get().status == S.SCHEDULED
    assert 'id="withdraw"' in answer.content.decode()


def test_a_page_that_was_seen_before_a_change_approves_nothing(client, account, sender, admin):
    waiting = waiting_of(account, sender)
    client.force_login(admin)
    values = {"act": "approve", "approval_hash": "0" * 64}
    client.post(reverse("campaign-approve", args=[waiting.bulk_id]), values)
    assert Campaign.objects.get().status == S.AWAITING_APPROVAL


def test_only_who_may_approve_is_led_to_the_decision(client, account, sender, admin):
    waiting, own = waiting_of(account, sender), waiting_of(account, admin)
    client.force_login(admin)
    page = client.get(reverse("approvals")).content.decode()
    assert f'href="{reverse("campaign-approve", args=[waiting.bulk_id])}"' in page
    assert f'href="{reverse("campaign-approve", args=[own.bulk_id])}"' not in page
    client.force_login(sender)
    assert "/approve" not in client.get(reverse("approvals")).content.decode()


@pytest.mark.parametrize("values", [{}, {"act": "approve"}, {"act": "aprove", "approval_hash": "0" * 64}])
def test_a_form_that_does_not_say_what_was_decided_decides_nothing(client, account, sender, admin, values):
    waiting = waiting_of(account, sender)
    client.force_login(admin)
    assert client.post(reverse("campaign-approve", args=[waiting.bulk_id]), values).status_code == 400
    assert Campaign.objects.get().status == S.AWAITING_APPROVAL


@pytest.mark.parametrize("values", [None, {"act": "approve"}, {"act": "reject", "comment": "Too late"}])
def test_who_decides_too_late_is_told_so(client, account, sender, admin, values):
    waiting = waiting_of(account, sender)
    services.approve(waiting, admin)
    client.force_login(admin)
    address = reverse("campaign-approve", args=[waiting.bulk_id])
    values = values and {"approval_hash": waiting.approval_hash} | values
    answer = client.post(address, values, follow=True) if values else client.get(address, follow=True)
    assert "This campaign no longer waits for approval." in answer.content.decode()


def test_an_edit_voids_the_approval(account, sender, admin):
    scheduled_at = timezone.now() + timedelta(hours=1)
    approved = services.approve(waiting_of(account, sender, scheduled_at=scheduled_at), admin)
    assert approved.status == S.SCHEDULED
    with pytest.raises(InvalidState):
        drafts.change_draft(approved, sender, {"message": "Other"})
    withdrawn = services.withdraw(approved, sender)
    assert (withdrawn.approval_hash, withdrawn.approved_by, withdrawn.approved_at) == ("", None, None)
    drafts.change_draft(withdrawn, sender, {"message": "Other"})
    assert services.launch(Campaign.objects.get(), sender).status == S.AWAITING_APPROVAL


def test_who_has_seen_something_else_approves_nothing(account, sender, admin):
    seen = waiting_of(account, sender)
    draft = services.withdraw(seen, sender)
    drafts.change_draft(draft, sender, {"message": "Other"})
    services.launch(Campaign.objects.get(), sender)
    with pytest.raises(InvalidState):
        services.approve(Campaign.objects.get(), admin, seen.approval_hash)
    assert Campaign.objects.get().status == S.AWAITING_APPROVAL


def tamper_text(campaign):
    Campaign.objects.update(message="Other")


def tamper_sender(campaign):
    Campaign.objects.update(sender_id="")


def tamper_time(campaign):
    Campaign.objects.update(scheduled_at=campaign.scheduled_at + timedelta(seconds=1))


def tamper_validity(campaign):
    Campaign.objects.update(valid_until=None)


def tamper_recipients(campaign):
    AudienceChunk.objects.update(checksum="0" * 64)


@pytest.mark.parametrize(
    "tamper", [tamper_text, tamper_sender, tamper_time, tamper_validity, tamper_recipients], ids=lambda it: it.__name__
)
def test_what_was_changed_behind_the_approval_is_not_started(account, sender, admin, tamper):
    account.sender_ids.create(value="DemoShop", kind="alphanumeric", status="approved")
    now = timezone.now()
    times = {"scheduled_at": now + timedelta(hours=1), "valid_until": now + timedelta(days=1)}
    waiting = waiting_of(account, sender, sender_id="DemoShop", **times)
    services.approve(waiting, admin)
    tamper(waiting)
    assert starting.start_due(now + timedelta(hours=1, seconds=5)) == 0
    campaign = Campaign.objects.get()
    assert (campaign.status, campaign.approved_by) == (S.AWAITING_APPROVAL, None)
    expand_ready()
    assert not Batch.objects.exists()
    assert services.approve(campaign, admin).status == S.SCHEDULED  # looked at again


def test_what_was_not_changed_starts_at_its_time(account, sender, admin):
    now = timezone.now()
    services.approve(waiting_of(account, sender, scheduled_at=now + timedelta(hours=1)), admin)
    assert starting.start_due(now + timedelta(hours=1, seconds=5)) == 1
    assert Campaign.objects.get().status == S.RUNNING


def test_a_campaign_that_was_changed_before_the_approval_is_not_approved(account, sender, admin):
    waiting = waiting_of(account, sender)
    tamper_text(waiting)
    with pytest.raises(InvalidState):
        services.approve(waiting, admin)
    assert Campaign.objects.get().status == S.AWAITING_APPROVAL


def test_a_paused_campaign_that_was_changed_is_not_resumed(account, sender, admin):
    approved = services.approve(waiting_of(account, sender, scheduled_at=timezone.now() + timedelta(hours=1)), admin)
    services.pause(approved, sender)
    tamper_text(approved)
    with pytest.raises(InvalidState):
        services.resume(Campaign.objects.get(), sender)
    assert Campaign.objects.get().status == S.PAUSED


@pytest.mark.parametrize(("late", "status"), [(timedelta(minutes=30), S.RUNNING), (timedelta(hours=2), None)])
def test_a_time_that_passed_while_it_waited(account, sender, admin, settings, late, status):
    """It starts at once while a due campaign would still be started, and else has to get another time."""
    settings.LATE_START_WINDOW = 3600
    waiting = waiting_of(account, sender, scheduled_at=timezone.now() + timedelta(minutes=1))
    Campaign.objects.update(scheduled_at=timezone.now() - late)
    waiting.refresh_from_db()
    Campaign.objects.update(approval_hash=content_hash(waiting))  # as if it had been asked for with that time
    waiting.refresh_from_db()
    if status is None:
        with pytest.raises(ScheduleInPast):
            services.approve(waiting, admin)
    else:
        assert services.approve(waiting, admin).status == status


@pytest.mark.django_db(transaction=True)
def test_of_many_approvals_at_once_one_counts(account, sender):
    waiting = waiting_of(account, sender)
    admins = [MembershipFactory(account=account, role=Role.ADMIN).user for _ in range(8)]
    refused = []

    def approve(by):
        try:
            services.approve(Campaign.objects.get(pk=waiting.pk), by)
        except InvalidState as error:
            refused.append(error.details["current_status"])

    run_together(*[lambda by=by: patiently(lambda: approve(by)) for by in admins])
    assert refused == [S.RUNNING] * 7
    assert AuditEvent.objects.filter(action="campaign.approved").count() == 1


def waiting_resend_of(account, by, admin) -> Campaign:
    services.approve(waiting_of(account, by), admin)
    expand_ready()
    control(list(Message.objects.values_list("id", flat=True)), MessageStatus.FAILED, Reason.POISON)
    services.settle_status([Campaign.objects.get().pk], timezone.now())
    resend = resend_failed(Campaign.objects.get(), by)
    resend.refresh_from_db()
    return resend


def test_a_large_resend_waits_for_approval_as_well(account, sender, admin):
    resend = waiting_resend_of(account, sender, admin)
    assert (resend.status, resend.approval_requested_by) == (S.AWAITING_APPROVAL, sender)
    with pytest.raises(InvalidState):
        services.withdraw(resend, sender)
    assert services.approve(resend, admin).status == S.RUNNING


def test_a_rejected_resend_is_cancelled_and_does_not_come_back(account, sender, admin, client):
    resend = waiting_resend_of(account, sender, admin)
    client.force_login(admin)
    values = {"act": "reject", "comment": "Not again"}
    page = client.post(reverse("campaign-approve", args=[resend.bulk_id]), values, follow=True).content.decode()
    assert "Rejected. It is cancelled, with your comment." in page
    fill_resends()
    resend.refresh_from_db()
    assert (resend.status, resend.status_detail) == (S.CANCELLED, f"Not approved by {admin.username}: Not again")
    assert resend.completed_at is not None
    assert AuditEvent.objects.get(action="campaign.rejected").after["status"] == S.CANCELLED
    again = resend_failed(resend.resend_of, sender)  # nothing was sent of that one, so it does not count
    assert again.pk != resend.pk
