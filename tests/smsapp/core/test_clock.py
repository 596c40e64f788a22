"""A machine whose clock is wrong by ten minutes fires nothing early and nothing late, and takes nothing from others."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import psycopg
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from accounts.access import tokens
from accounts.access.api_keys import check_api_key
from accounts.choices import EventType
from accounts.models import WebhookDelivery, WebhookEndpoint
from accounts.webhooks import claims, delivery, emit, endpoints
from campaigns import tasks as campaign_tasks
from campaigns.choices import CampaignKind, CampaignStatus, RecurringStatus
from campaigns.models import Campaign, RecurringCampaign
from campaigns.recipients import RecipientSource
from campaigns.scheduling.recurring import create_recurring
from campaigns.scheduling.rule import Rule
from campaigns.validation import CampaignRequest
from messaging.models import Batch, ReportInbox
from smsapp.core import clock
from smsapp.core.exceptions import ApiKeyExpired, TokenExpired
from tests.support.clocks import host_off_by
from tests.support.factories import MembershipFactory, SenderIdFactory, make_api_key, make_campaign, phones
from uploads import tasks as upload_tasks
from uploads.choices import UploadStatus
from uploads.files.reading import read_upload
from uploads.models import Upload
from uploads.services import accept_upload

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db]
TEN, FIVE, MINUTE = timedelta(minutes=10), timedelta(minutes=5), timedelta(minutes=1)
WRONG = {"ahead": TEN, "behind": -TEN}


@pytest.fixture(params=WRONG)
def wrong(request: pytest.FixtureRequest) -> Iterator[None]:
    with host_off_by(WRONG[request.param]):
        yield


def real() -> Any:
    """What a clock on the wall says, which here is the database's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def is_near(moment: Any, other: Any) -> bool:
    return bool(abs(moment - other) < MINUTE)


def test_both_clocks_are_those_of_the_database(wrong: None) -> None:
    assert not is_near(timezone.now(), real())
    assert is_near(clock.now(), real())
    assert is_near(clock.about_now(), real())


def test_the_cheap_one_asks_once_and_past_whoever_counts_queries(
    wrong: None, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, ask = [], clock._asked
    monkeypatch.setattr(clock, "_asked", lambda: asked.append(1) or ask())
    with django_assert_num_queries(0):
        moments = [clock.about_now() for _ in range(100)]
    assert moments == sorted(moments)
    assert len(asked) == 1


def test_a_broken_transaction_does_not_break_the_clock() -> None:
    clock.about_now()
    with host_off_by(TEN):
        clock._read = None
        with pytest.raises(psycopg.Error):
            connection.connection.execute("SELECT 1 / 0")
        assert clock.about_now() is not None
        connection.connection.rollback()


@pytest.mark.parametrize(("off", "due_in", "started"), [(TEN, FIVE, 0), (-TEN, -FIVE, 1)])
def test_a_scheduled_campaign_starts_on_time(off: timedelta, due_in: timedelta, started: int) -> None:
    campaign = make_campaign(count=1, scheduled_at=real() + timedelta(hours=1))
    Campaign.objects.filter(pk=campaign.pk).update(scheduled_at=real() + due_in)
    with host_off_by(off):
        assert campaign_tasks.start_due() == started
    status = CampaignStatus.RUNNING if started else CampaignStatus.SCHEDULED
    assert Campaign.objects.get(pk=campaign.pk).status == status


@pytest.mark.parametrize(("off", "due_in", "fired"), [(TEN, FIVE, 0), (-TEN, -FIVE, 1)])
def test_a_recurring_campaign_fires_on_time(off: timedelta, due_in: timedelta, fired: int) -> None:
    membership = MembershipFactory()
    SenderIdFactory(account=membership.account)
    request = CampaignRequest(kind=CampaignKind.BULK, message="Hello")
    rule = Rule("0", "0", "*", "*", "*", "UTC")
    row = create_recurring(membership.account, membership.user, request, rule, RecipientSource(phone_numbers=phones(2)))
    RecurringCampaign.objects.filter(pk=row.pk).update(next_run_at=real() + due_in)
    with host_off_by(off):
        assert campaign_tasks.fire_recurring() == fired
    row.refresh_from_db()
    assert row.status == RecurringStatus.ACTIVE


def test_the_next_moment_is_counted_from_now(wrong: None) -> None:
    membership = MembershipFactory()
    request = CampaignRequest(kind=CampaignKind.BULK, message="Hello")
    rule = Rule("*/30", "*", "*", "*", "*", "UTC")
    row = create_recurring(membership.account, membership.user, request, rule, RecipientSource(phone_numbers=phones(2)))
    assert row.next_run_at is not None
    assert -MINUTE < row.next_run_at - real() < timedelta(minutes=31)


def test_an_upload_that_another_machine_reads_is_left_to_it() -> None:
    membership = MembershipFactory()
    upload = accept_upload(membership.account, membership.user, SimpleUploadedFile("n.csv", b"phone\n+4915112345678\n"))
    held = {"status": UploadStatus.PROCESSING, "lease_owner": "other", "lease_until": real() + FIVE}
    Upload.objects.filter(pk=upload.pk).update(**held)
    with host_off_by(TEN):
        assert upload_tasks.enqueue_waiting() == 0
        assert read_upload(upload.pk, "thief") is False
    upload.refresh_from_db()
    assert (upload.lease_owner, upload.status) == ("other", UploadStatus.PROCESSING)


def test_the_lease_of_an_upload_is_no_longer_than_it_should_be(wrong: None, monkeypatch: pytest.MonkeyPatch) -> None:
    membership = MembershipFactory()
    upload = accept_upload(membership.account, membership.user, SimpleUploadedFile("n.csv", b"phone\n+4915112345678\n"))
    leases = []
    monkeypatch.setattr("uploads.files.reading._read_slice", lambda upload: leases.append(upload.lease_until) or True)
    read_upload(upload.pk, "reader")
    assert is_near(leases[0], real() + timedelta(seconds=60))


@pytest.fixture
def endpoint(settings: Any) -> WebhookEndpoint:
    settings.WEBHOOK_ALLOW_LOCAL = True
    membership = MembershipFactory()
    return endpoints.create(membership.account, "live", membership.user, "http://127.0.0.1:9/")[0]


def test_no_webhook_is_tried_again_early(endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    emit(endpoint.account_id, endpoint.mode, EventType.CAMPAIGN_STARTED, {})
    WebhookDelivery.objects.update(next_attempt_at=real() + FIVE, attempt_count=1)
    asked = []
    monkeypatch.setattr(delivery, "claim", lambda owner, now, *rest: asked.append(now) or [])
    with host_off_by(TEN):
        delivery.deliver_due(seconds=1)
    assert claims.claim("a", asked[0], 10, Counter()) == []


def test_what_a_wrong_machine_writes_is_due_for_the_others_at_once(endpoint: WebhookEndpoint, wrong: None) -> None:
    emit(endpoint.account_id, endpoint.mode, EventType.CAMPAIGN_STARTED, {})
    assert len(claims.claim("a", clock.now(), 10, Counter())) == 1
    for model, names in ((ReportInbox, ("next_attempt_at", "received_at")), (Batch, ("next_attempt_at", "created_at"))):
        row = model()
        for name in names:
            field = model._meta.get_field(name)
            assert is_near(field.pre_save(row, add=True), real()), f"{model.__name__}.{name}"


@pytest.mark.parametrize(("off", "expires_in", "is_good"), [(TEN, FIVE, True), (-TEN, -FIVE, False)])
def test_an_api_key_ends_on_time(off: timedelta, expires_in: timedelta, is_good: bool) -> None:
    key, text = make_api_key()
    type(key).objects.filter(pk=key.pk).update(expires_at=real() + expires_in)
    with host_off_by(off):
        if is_good:
            assert check_api_key(text, "127.0.0.1")[0] == key
        else:
            with pytest.raises(ApiKeyExpired):
                check_api_key(text, "127.0.0.1")


def test_a_token_of_a_wrong_machine_is_good_elsewhere_and_lives_no_longer(wrong: None) -> None:
    pair = tokens.sign_in(MembershipFactory().user)
    told = jwt.decode(pair.access_token, options={"verify_signature": False})
    assert is_near(real() + TEN, type(real()).fromtimestamp(told["exp"], tz=real().tzinfo))
    with host_off_by(timedelta(0)):
        assert tokens.check_access_token(pair.access_token)
        assert tokens.refresh(pair.refresh_token)


def test_a_wrong_machine_takes_the_tokens_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = tokens.sign_in(MembershipFactory().user)
    for off in WRONG.values():
        with host_off_by(off):
            assert tokens.check_access_token(pair.access_token)
    monkeypatch.setattr("accounts.access.jwt.AccessToken.lifetime", -MINUTE)
    late = tokens.sign_in(MembershipFactory().user)
    with host_off_by(-TEN), pytest.raises(TokenExpired):
        tokens.check_access_token(late.access_token)
