"""The operator console as a whole: every page opens, records of what happened cannot be changed."""

from datetime import time
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from accounts.access.invitations import invite
from accounts.access.tokens import sign_in
from accounts.choices import Role
from accounts.models import (
    Account,
    ApiKey,
    ApiUsageLog,
    AuditEvent,
    DailyUse,
    IdempotencyKey,
    LedgerEntry,
    OwnKey,
    Price,
    QuietHours,
    ReservedName,
    Setting,
    User,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from accounts.security import own_keys
from campaigns.choices import CampaignStatus, PauseReason
from campaigns.models import Campaign, DraftPlan, MessageTemplate, RecurringCampaign
from campaigns.scheduling.rule import Every, Rule
from messaging.choices import AttemptState, Lane, MessageStatus
from messaging.ids import make_message_pk
from messaging.models import (
    Attempt,
    Batch,
    DeliveryReport,
    Gateway,
    InboundMessage,
    Message,
    ProviderReference,
    RefusalRow,
    ReportInbox,
    Route,
    RouteHealth,
    StatDelta,
)
from reports.models import DailyCountry, DailyStat
from reports.selectors import attention
from smsapp.console.admin import ReadOnlyAdmin
from tests.support.factories import SenderIdFactory, UserFactory, make_api_key, make_campaign, phones
from tests.support.pages import INLINE
from uploads.models import Contact, ContactList, Upload
from uploads.services import accept_upload
from uploads.suppressions import suppress

pytestmark = [pytest.mark.django_db, pytest.mark.once]

OURS = ("accounts", "uploads", "campaigns", "messaging", "reports")
REGISTERED = list(admin.site._registry.items())


def address(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_{page}", args=args)


@pytest.fixture
def rows() -> Campaign:
    """At least one row of every model of ours."""
    campaign = make_campaign()
    account, user, now = campaign.account, campaign.user, timezone.now()
    make_api_key(account)
    sign_in(user)
    invite(user.memberships.get(), "new@example.com", Role.VIEWER)
    SenderIdFactory(account=account)
    suppress(account, phones(1)[0], "STOP")
    Upload.objects.create(
        account=account,
        user=user,
        upload_id="upl-1",
        filename="1.csv",
        original_filename="list.csv",
        file_size=1,
        checksum="0" * 64,
        country="DE",
        audience=campaign.audience,
    )
    batch = Batch.objects.create(
        account=account, campaign=campaign, chunk=0, part=0, mode="live", lane=Lane.CAMPAIGNS, turn=0, size=1, sent=1
    )
    number = make_message_pk(batch.pk, 0)
    Message.objects.create(id=number, campaign=campaign, row=1, phone_number=phones(1)[0], status=MessageStatus.SENT)
    Attempt.objects.create(
        batch=batch,
        gateway="simulator",
        reference="call-1",
        epoch=1,
        first=number,
        last=number,
        message_count=1,
        state=AttemptState.OPEN,
        deadline=now,
    )
    RefusalRow.objects.create(campaign=campaign, gateway="simulator", why="HTTP 400", count=3, taken=0)
    DeliveryReport.objects.create(message_id=number, status=MessageStatus.SENT, source="answer")
    ReportInbox.objects.create(gateway="simulator", source="push", body=b"+4915112000000")
    StatDelta.objects.create(batch_id=batch.pk, queued=-1, sent=1)
    DailyStat.objects.create(account=account, mode="live", day=now.date(), queued=1)
    DailyCountry.objects.create(account=account, mode="live", day=now.date(), country="DE", messages=1)
    DraftPlan.objects.create(campaign=campaign)
    InboundMessage.objects.create(
        account=account,
        inbound_id="in-1",
        gateway="simulator",
        provider_reference="1",
        phone_number=phones(1)[0],
        recipient="491511",
        received_at=now,
    )
    MessageTemplate.objects.create(account=account, user=user, template_id="tpl-1", name="Hello", message="Hello")
    gateway = Gateway.objects.create(name="main", kind="twilio")
    Route.objects.create(gateway=gateway)
    RouteHealth.objects.create(gateway="main", measured_at=now)
    ProviderReference.objects.create(gateway="main", reference="SM1", message_id=number)
    RecurringCampaign.objects.create(
        account=account,
        user=user,
        recurring_id="rec-1",
        message="Hello",
        audience=campaign.audience,
        rule=Rule.at(Every.DAY, "UTC", time(9)).stored(),
    )
    contact_list = ContactList.objects.create(account=account, user=user, list_id="lst-1", name="All")
    Contact.objects.create(contact_list=contact_list, phone_number=phones(1)[0])
    _rows_of_access(account, campaign)
    return campaign


def _rows_of_access(account: Account, campaign: Campaign) -> None:
    now = timezone.now()
    Price.objects.create(prefix="49", price_micro=70_000)
    ReservedName.objects.create(name="City")
    QuietHours.objects.create(prefix="1", begins=time(21), ends=time(8))
    own_keys.stored("audit", lambda: "the value of a key")
    LedgerEntry.objects.create(account=account, kind="top_up", amount_micro=10, balance_micro=10)
    DailyUse.objects.get_or_create(account=account, day=now.date(), defaults={"message_count": 1})
    IdempotencyKey.objects.create(account=account, mode="live", key="k", fingerprint="0" * 64, request_id="r")
    ApiUsageLog.objects.create(
        account=account,
        endpoint="/api/v1/sms/send",
        method="POST",
        status_code=202,
        response_time_ms=1,
        request_size=1,
        response_size=1,
        created_at=now,
    )
    endpoint = WebhookEndpoint.objects.create(account=account, endpoint_id="we-1", url="https://example.com/hook")
    delivery = WebhookDelivery.objects.create(endpoint=endpoint, event_id="evt_1", event_type="ping", body="{}")
    WebhookAttempt.objects.create(delivery=delivery, duration_ms=5, http_status=500)


def test_every_model_of_ours_is_registered() -> None:
    missing = {model for label in OURS for model in apps.get_app_config(label).get_models()} - dict(REGISTERED).keys()
    assert not missing


@pytest.mark.parametrize("model", [model for model, _ in REGISTERED], ids=lambda model: model.__name__)
def test_list_and_form_of_every_model_open(admin_client: Client, rows: Campaign, model: type[Model]) -> None:
    pages = [admin_client.get(address(model, "changelist"), query) for query in ({}, {"q": "x"})]
    if model._meta.app_label in OURS:
        row = model._default_manager.order_by("pk").first()
        assert row is not None
        pages.append(admin_client.get(address(model, "change", row.pk)))
    for page in pages:
        assert page.status_code == 200
        assert not INLINE.search(page.content.decode())
    assert admin_client.get(address(model, "add")).status_code in (200, 403)


@pytest.mark.parametrize("model", [model for model, _ in REGISTERED], ids=lambda model: model.__name__)
def test_an_operator_with_every_permission_gains_no_right_by_any_page_or_action(
    client: Client, rows: Campaign, model: type[Model]
) -> None:
    operator = UserFactory(is_staff=True)
    operator.user_permissions.set(Permission.objects.all())
    group, boss = Group.objects.create(name="Support"), UserFactory(is_superuser=True, is_staff=True)
    operator.groups.add(group)
    client.force_login(operator)
    everything = list(Permission.objects.values_list("pk", flat=True))
    data = {
        "is_superuser": "on",
        "is_staff": "on",
        "groups": [group.pk],
        "user_permissions": everything,
        "name": "Support",
        "permissions": everything,
        "password1": "x" * 20,
        "password2": "x" * 20,
        "post": "yes",
        "confirmed": "yes",
    }
    every = list(model._default_manager.values_list("pk", flat=True)[:20])
    addresses = [address(model, "add")]
    addresses += [address(model, page, pk) for pk in every for page in ("change", "delete")]
    statuses = {url: client.post(url, data).status_code for url in addresses}
    for action in admin.site._registry[model].actions or ():
        name = action if isinstance(action, str) else action.__name__
        chosen = {"action": name, "_selected_action": every, "post": "yes", "confirmed": "yes"}
        statuses[name] = client.post(address(model, "changelist"), chosen).status_code
    assert {url: status for url, status in statuses.items() if status >= 500} == {}
    assert list(User.objects.filter(is_superuser=True)) == [boss]
    assert set(User.objects.filter(is_staff=True)) <= {boss, operator}
    assert boss.password == User.objects.get(pk=boss.pk).password
    assert not group.permissions.exists()


READ_ONLY = [model for model, page in REGISTERED if isinstance(page, ReadOnlyAdmin)]


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model.__name__)
def test_record_cannot_be_added_changed_or_deleted(admin_client: Client, rows: Campaign, model: type[Model]) -> None:
    before = list(model._default_manager.values())
    pk = before[0]["id"]
    for page in (address(model, "add"), address(model, "change", pk), address(model, "delete", pk)):
        assert admin_client.post(page, {"post": "yes", "status": "5", "state": "done"}).status_code == 403
    admin_client.post(
        address(model, "changelist"), {"action": "delete_selected", "_selected_action": pk, "post": "yes"}
    )
    assert list(model._default_manager.values()) == before


def test_pipeline_tables_are_read_only() -> None:
    assert {Batch, Message, Attempt, DeliveryReport, ReportInbox, StatDelta, DailyStat, DailyCountry, Upload} <= set(
        READ_ONLY
    )


def test_front_page_says_nothing_needs_a_hand_only_when_so(admin_client: Client, rows: Campaign) -> None:
    quiet = admin_client.get(reverse("admin:index")).content.decode()
    assert "All clear." in quiet
    Campaign.objects.update(status=CampaignStatus.PAUSED, pause_reason=PauseReason.GATEWAY_REFUSED)
    Attempt.objects.update(state=AttemptState.UNKNOWN)
    ReportInbox.objects.update(failure_count=2, error="no JSON")
    page = admin_client.get(reverse("admin:index")).content.decode()
    assert "All clear." not in page
    for notice in ("the gateway refuses our account", "unknown outcome", "could not be applied"):
        assert notice in page


def test_every_notice_leads_to_its_rows(admin_client: Client, rows: Campaign) -> None:
    Campaign.objects.update(status=CampaignStatus.PAUSED, pause_reason=PauseReason.GATEWAY_REFUSED)
    Attempt.objects.update(state=AttemptState.UNKNOWN)
    ReportInbox.objects.update(failure_count=2)
    Upload.objects.update(status="failed")
    healthy = make_campaign(rows.account)
    Batch.objects.create(
        account=rows.account, campaign=healthy, chunk=0, part=0, mode="live", lane=Lane.CAMPAIGNS, turn=1, size=0
    )
    ReportInbox.objects.create(gateway="simulator", source="push", body=b"")
    accept_upload(rows.account, rows.user, SimpleUploadedFile("numbers.txt", b"+4915112000000\n"))
    notices = attention()
    assert len(notices) >= 4
    for notice in notices:
        found = admin_client.get(f"{address(apps.get_model(notice.model), 'changelist')}?{notice.query}")
        assert found.status_code == 200, notice
        assert found.context["cl"].result_count == notice.count, notice


def test_front_page_never_touches_the_message_table(admin_client: Client, rows: Campaign) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        admin_client.get(reverse("admin:index"))
    assert not [query for query in queries if Message._meta.db_table in query["sql"]]


def test_secret_of_an_api_key_and_bodies_are_nowhere_shown(admin_client: Client, rows: Campaign) -> None:
    key = ApiKey.objects.get()
    page = admin_client.get(address(ApiKey, "change", key.pk)).content.decode()
    assert key.prefix in page
    assert key.secret_hash not in page
    inbox = admin_client.get(address(ReportInbox, "change", ReportInbox.objects.get().pk)).content.decode()
    assert "+4915112000000" not in inbox


def test_a_key_of_the_installation_is_nowhere_shown(admin_client: Client, rows: Campaign) -> None:
    row = OwnKey.objects.get(name="audit")
    for page in (address(OwnKey, "changelist"), address(OwnKey, "change", row.pk)):
        shown = admin_client.get(page).content.decode()
        assert "audit" in shown
        assert row.value not in shown


def test_fixed_setting_cannot_be_changed(admin_client: Client) -> None:
    prefix = Setting.objects.get(key="installation_prefix")
    admin_client.post(address(Setting, "change", prefix.pk), {"value": "other"})
    assert Setting.objects.get(pk=prefix.pk).value == prefix.value
    free = Setting.objects.create(key="greeting", value="old")
    admin_client.post(address(Setting, "change", free.pk), {"value": "new"})
    assert Setting.objects.get(pk=free.pk).value == "new"


def test_periodic_tasks_can_be_edited_under_the_strict_policy(admin_client: Client) -> None:
    page = admin_client.get(address(PeriodicTask, "add"))
    assert "readable-crontab.js" in page.content.decode()
    assert not INLINE.search(page.content.decode())


@pytest.fixture
def sealing() -> PeriodicTask:
    every = IntervalSchedule.objects.create(every=30, period="seconds")
    return PeriodicTask.objects.create(name="seal the audit log", task="accounts.seal_audit", interval=every)


def test_own_periodic_tasks_are_neither_changed_nor_switched_off(admin_client: Client, sealing: PeriodicTask) -> None:
    for page in ("change", "delete"):
        assert admin_client.post(address(PeriodicTask, page, sealing.pk), {"post": "yes"}).status_code == 403
    renamed = PeriodicTask.objects.create(name="mine", task="accounts.seal_audit", interval=sealing.interval)
    for action in ("disable_tasks", "toggle_tasks", "delete_selected"):
        data = {"action": action, "_selected_action": [sealing.pk, renamed.pk], "post": "yes"}
        admin_client.post(address(PeriodicTask, "changelist"), data)
    assert PeriodicTask.objects.filter(pk__in=[sealing.pk, renamed.pk], enabled=True).count() == 2
    interval = address(IntervalSchedule, "change", sealing.interval.pk)
    assert admin_client.post(interval, {"every": "30", "period": "days"}).status_code == 403
    delete = address(IntervalSchedule, "delete", sealing.interval.pk)
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403


def test_other_periodic_tasks_are_an_operators_and_audited(admin_client: Client, sealing: PeriodicTask) -> None:
    other = PeriodicTask.objects.create(name="other", task="theirs", interval=sealing.interval)
    data = {"action": "disable_tasks", "_selected_action": [other.pk]}
    admin_client.post(address(PeriodicTask, "changelist"), data)
    assert not PeriodicTask.objects.get(pk=other.pk).enabled
    event = AuditEvent.objects.get(action="console.periodictask_changed")
    assert (event.target_id, event.after) == (str(other.pk), {"how": "disabled"})


def test_console_is_closed_to_customers(client: Client) -> None:
    client.force_login(make_campaign().user)
    assert client.get(reverse("admin:index")).status_code == 302


def test_admin_checks_pass() -> None:
    call_command("check", verbosity=0)
