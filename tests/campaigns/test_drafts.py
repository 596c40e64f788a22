"""Drafts: put together step by step, launched once, and nothing of them is sent before."""

import itertools
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.choices import Role
from accounts.models import AuditEvent
from accounts.suspension import suspend_account
from campaigns import drafts, services
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from campaigns.recipients import RecipientSource
from campaigns.scheduling import starting
from campaigns.validation import CampaignRequest
from messaging.models import Batch, Message
from messaging.sending.expansion import expand_ready
from smsapp.core.exceptions import (
    AccountSuspended,
    DuplicateReference,
    InvalidPhoneNumber,
    InvalidState,
    MessageTooLong,
    NotFound,
    ScheduleInPast,
    SenderNotAllowed,
    SmsappError,
    TemplateVariableMissing,
    UploadNotReady,
    ValidationError,
)
from tests.support.factories import MembershipFactory, make_campaign, make_upload, phones
from tests.support.together import callers, patiently, run_together
from uploads import contacts
from uploads.choices import AudienceSource, UploadStatus
from uploads.models import Audience, AudienceChunk

pytestmark = pytest.mark.django_db

S = CampaignStatus


@pytest.fixture
def owner():
    return MembershipFactory(role=Role.OWNER)


def make_draft(owner, wanted: RecipientSource | None = None, **options) -> Campaign:
    request = CampaignRequest(kind=CampaignKind.BULK, message=options.pop("message", "Hello"), **options)
    return drafts.create_draft(owner.account, owner.user, request, wanted)[0]


def numbers(count: int = 3) -> RecipientSource:
    return RecipientSource(phone_numbers=phones(count))


def actions(campaign: Campaign) -> list[str]:
    events = AuditEvent.objects.filter(target_id=campaign.bulk_id).order_by("pk")
    return list(events.values_list("action", flat=True))


def test_a_draft_needs_no_recipients_and_sends_nothing(owner):
    draft = make_draft(owner, message="Hello {first_name}", name="Sale")
    assert (draft.status, draft.total_recipients, draft.audience.source) == (S.DRAFT, 0, AudienceSource.EMPTY)
    expand_ready()
    assert starting.start_due(timezone.now() + timedelta(days=1)) == 0
    assert not Batch.objects.exists()
    with pytest.raises(ValidationError) as error:
        services.launch(draft, owner.user)
    assert error.value.details["field"] == "phone_numbers"


def test_recipients_are_given_later_and_must_have_what_the_text_asks_for(owner):
    draft = make_draft(owner, message="Hello {first_name}")
    upload = make_upload(owner.account, [(phone, "Anna") for phone in phones(2)], ["phone", "name"])
    with pytest.raises(TemplateVariableMissing):
        drafts.change_draft(draft, owner.user, {}, RecipientSource(upload_id=upload.upload_id))
    draft.refresh_from_db()
    assert draft.total_recipients == 0
    changed, _ = drafts.change_draft(
        draft, owner.user, {"message": "Hello {name}"}, RecipientSource(upload_id=upload.upload_id)
    )
    assert (changed.total_recipients, changed.chunk_count, changed.audience) == (2, 1, upload.audience)
    launched = services.launch(changed, owner.user)
    assert launched.status == S.RUNNING
    expand_ready()
    assert Message.objects.filter(campaign=draft).count() == 2
    assert actions(draft) == ["campaign.created", "campaign.changed", "campaign.started"]


def test_recipients_of_a_contact_list_are_those_of_the_moment(owner):
    contact_list = contacts.create_list(owner.account, owner.user, "Newsletter")
    contacts.put_contact(contact_list, owner.user, phones(1)[0], {"name": "Anna"})
    draft = make_draft(owner, RecipientSource(list_id=contact_list.list_id), message="Hello {name}")
    contacts.put_contact(contact_list, owner.user, phones(2)[1], {"name": "Ben"})
    assert (draft.total_recipients, draft.audience.columns) == (1, ["name"])


def test_the_refused_of_a_request_are_told_and_none_at_all_is_refused(owner):
    wanted = RecipientSource(phone_numbers=[*phones(2), "12", phones(1)[0]])
    draft, refused = drafts.create_draft(
        owner.account, owner.user, CampaignRequest(kind=CampaignKind.BULK, message="Hello"), wanted
    )
    assert (draft.total_recipients, [row.row for row in refused]) == (2, [3, 4])
    with pytest.raises(InvalidPhoneNumber):
        make_draft(owner, RecipientSource(phone_numbers=["12"]))
    assert Campaign.objects.count() == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"message": " "}, ValidationError),
        ({"message": "tab\there"}, ValidationError),
        ({"message": "x" * 1601}, MessageTooLong),
        ({"sender_id": "Stranger"}, SenderNotAllowed),
        ({"scheduled_at": timezone.now() - timedelta(hours=1)}, ScheduleInPast),
        ({"scheduled_at": timezone.now() + timedelta(days=400)}, ValidationError),
        ({"valid_until": timezone.now() - timedelta(hours=1)}, ValidationError),
    ],
)
def test_what_could_not_be_sent_makes_no_draft_and_changes_none(owner, options, error):
    with pytest.raises(error):
        make_draft(owner, **options)
    draft = make_draft(owner)
    with pytest.raises(error):
        drafts.change_draft(draft, owner.user, options)
    draft.refresh_from_db()
    assert (draft.message, draft.sender_id, draft.scheduled_at, draft.valid_until) == ("Hello", "", None, None)
    assert Campaign.objects.count() == 1


def test_a_time_that_passed_is_refused_at_the_launch_and_not_before(owner):
    draft = make_draft(owner, numbers(), scheduled_at=timezone.now() + timedelta(hours=1))
    Campaign.objects.update(scheduled_at=timezone.now() - timedelta(hours=1))
    draft.refresh_from_db()
    drafts.change_draft(draft, owner.user, {"name": "Renamed"})
    draft.refresh_from_db()
    with pytest.raises(ScheduleInPast):
        services.launch(draft, owner.user)
    drafts.change_draft(draft, owner.user, {"scheduled_at": None})
    draft.refresh_from_db()
    assert services.launch(draft, owner.user).status == S.RUNNING


def test_anothers_upload_or_list_is_not_found_and_an_unread_one_not_ready(owner):
    stranger = MembershipFactory()
    upload = make_upload(stranger.account, [(phones(1)[0],)], ["phone"])
    contact_list = contacts.create_list(stranger.account, stranger.user, "Theirs")
    for wanted in (RecipientSource(upload_id=upload.upload_id), RecipientSource(list_id=contact_list.list_id)):
        with pytest.raises(NotFound):
            make_draft(owner, wanted)
    own = make_upload(owner.account, [(phones(1)[0],)], ["phone"], status=UploadStatus.PROCESSING)
    with pytest.raises(UploadNotReady):
        make_draft(owner, RecipientSource(upload_id=own.upload_id))
    assert not Campaign.objects.exists()


# --- Only while it is a draft -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [status for status in S if status is not S.DRAFT])
def test_only_a_draft_is_changed_deleted_or_launched(owner, status):
    draft = make_draft(owner, numbers())
    Campaign.objects.update(status=status)
    stale = Campaign.objects.get(pk=draft.pk)
    stale.status = S.DRAFT  # as it was read before it went on
    for campaign in (Campaign.objects.get(pk=draft.pk), stale):
        for act in (
            lambda campaign: drafts.change_draft(campaign, owner.user, {"message": "Other"}),
            lambda campaign: drafts.delete_draft(campaign, owner.user),
            lambda campaign: services.launch(campaign, owner.user),
        ):
            with pytest.raises(InvalidState) as error:
                act(campaign)
            assert error.value.details["current_status"] == status
    assert Campaign.objects.get().message == "Hello"
    assert actions(draft) == ["campaign.created"]


@pytest.mark.django_db(transaction=True)
def test_of_fifty_launches_at_once_one_wins(owner):
    draft = make_draft(owner, numbers())
    told = itertools.count()
    states = []

    def launch():
        try:
            services.launch(Campaign.objects.get(pk=draft.pk), owner.user)
            next(told)
        except InvalidState as error:
            states.append(error.details["current_status"])

    count = callers(50)
    run_together(*[lambda: patiently(launch)] * count)
    assert (next(told), states) == (1, [S.RUNNING] * (count - 1))
    assert actions(draft) == ["campaign.created", "campaign.started"]


@pytest.mark.django_db(transaction=True)
def test_what_is_launched_is_what_was_last_saved(owner):
    """A change and a launch at once: the change is in it, or refused."""
    draft = make_draft(owner, numbers())
    refused = []

    def change():
        try:
            drafts.change_draft(Campaign.objects.get(pk=draft.pk), owner.user, {"message": "Changed"})
        except InvalidState:
            refused.append(True)

    def launch():
        services.launch(Campaign.objects.get(pk=draft.pk), owner.user)

    run_together(lambda: patiently(change), lambda: patiently(launch))
    draft.refresh_from_db()
    assert (draft.status, draft.message) == (S.RUNNING, "Hello" if refused else "Changed")


def test_a_held_account_launches_nothing(owner):
    draft = make_draft(owner, numbers())
    suspend_account(owner.account)
    with pytest.raises(AccountSuspended):
        services.launch(Campaign.objects.get(), owner.user)
    draft.refresh_from_db()
    assert draft.status == S.DRAFT


def test_a_scheduled_launch_waits_and_is_withdrawn_and_launched_anew(owner):
    draft = make_draft(owner, numbers(), scheduled_at=timezone.now() + timedelta(hours=1))
    scheduled = services.launch(draft, owner.user)
    assert (scheduled.status, scheduled.started_at) == (S.SCHEDULED, None)
    withdrawn = services.withdraw(scheduled, owner.user)
    assert withdrawn.status == S.DRAFT
    assert starting.start_due(timezone.now() + timedelta(hours=1, seconds=1)) == 0
    drafts.change_draft(withdrawn, owner.user, {"scheduled_at": None})
    assert services.launch(Campaign.objects.get(), owner.user).status == S.RUNNING
    with pytest.raises(InvalidState):
        services.withdraw(Campaign.objects.get(), owner.user)


def test_a_scheduled_single_send_is_not_withdrawn(owner):
    single = make_campaign(owner.account, kind=CampaignKind.SINGLE, scheduled_at=timezone.now() + timedelta(hours=1))
    with pytest.raises(InvalidState):
        services.withdraw(single, owner.user)
    assert Campaign.objects.get().status == S.SCHEDULED


# --- Recipients that nobody needs any more ----------------------------------------------------------------


def test_replaced_and_deleted_recipients_are_removed_and_those_of_an_upload_kept(owner):
    upload = make_upload(owner.account, [(phone,) for phone in phones(2)], ["phone"])
    draft = make_draft(owner, numbers())
    drafts.change_draft(draft, owner.user, {}, RecipientSource(upload_id=upload.upload_id))
    assert set(Audience.objects.all()) == {upload.audience}
    drafts.change_draft(draft, owner.user, {}, numbers(4))
    assert Audience.objects.count() == 2
    drafts.delete_draft(draft, owner.user)
    assert set(Audience.objects.all()) == {upload.audience}
    assert set(AudienceChunk.objects.values_list("audience", flat=True)) == {upload.audience.pk}
    assert actions(draft)[-1] == "campaign.deleted"
    with pytest.raises(NotFound):
        drafts.delete_draft(draft, owner.user)


def test_recipients_that_a_clone_shares_stay_until_the_last_is_gone(owner):
    draft = make_draft(owner, numbers())
    copy = drafts.clone(draft, owner.user)
    drafts.delete_draft(draft, owner.user)
    assert copy.audience.chunks.count() == 1
    drafts.delete_draft(copy, owner.user)
    assert not Audience.objects.exists()


# --- Clones and references --------------------------------------------------------------------------------


def test_a_clone_is_a_draft_of_its_own_without_times_and_reference(owner):
    original = make_campaign(
        owner.account,
        message="Hello",
        name="Sale",
        client_reference="a-1",
        scheduled_at=timezone.now() + timedelta(hours=1),
        valid_until=timezone.now() + timedelta(hours=2),
    )
    services.cancel(original, owner.user)
    copy = drafts.clone(original, owner.user)
    assert (copy.status, copy.message, copy.name, copy.audience) == (S.DRAFT, "Hello", "Sale", original.audience)
    assert (copy.scheduled_at, copy.valid_until, copy.client_reference, copy.approval_hash) == (None, None, None, "")
    assert copy.bulk_id != original.bulk_id
    assert services.launch(copy, owner.user).status == S.RUNNING


def test_a_clone_takes_its_recipients_again_from_where_the_original_had_them(owner):
    contact_list = contacts.create_list(owner.account, owner.user, "Newsletter")
    contacts.put_contact(contact_list, owner.user, phones(1)[0], {"name": "Anna"})
    wanted = RecipientSource(list_id=contact_list.list_id)
    assert drafts.recipients_of(drafts.clone(make_draft(owner, wanted), owner.user)) == wanted
    assert drafts.recipients_of(drafts.clone(make_draft(owner, numbers()), owner.user)) is None


def test_a_single_send_is_not_cloned(owner):
    with pytest.raises(InvalidState):
        drafts.clone(make_campaign(owner.account, kind=CampaignKind.SINGLE), owner.user)


def test_a_client_reference_stands_once_in_an_account(owner):
    first = make_draft(owner, client_reference="order-1")
    with pytest.raises(DuplicateReference) as error:
        make_draft(owner, client_reference="order-1")
    assert error.value.details["existing_bulk_id"] == first.bulk_id
    second = make_draft(owner)
    with pytest.raises(DuplicateReference):
        drafts.change_draft(second, owner.user, {"client_reference": "order-1"})
    with pytest.raises(DuplicateReference):
        make_campaign(owner.account, client_reference="order-1")
    assert make_draft(MembershipFactory(), client_reference="order-1")
    drafts.change_draft(first, owner.user, {"client_reference": None})
    assert drafts.change_draft(second, owner.user, {"client_reference": "order-1"})[0].client_reference == "order-1"


@pytest.mark.django_db(transaction=True)
def test_sends_with_one_reference_at_once_make_one(owner):
    made, refused = [], []

    def send():
        try:
            made.append(make_draft(owner, client_reference="order-1"))
        except SmsappError as error:
            refused.append(error.code)

    run_together(*[lambda: patiently(send)] * 8)
    assert (len(made), refused) == (1, ["DUPLICATE_REFERENCE"] * 7)
    assert Campaign.objects.count() == 1
