"""`campaigns` and `templates` as a customer's program sees them."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.choices import EndpointKind, Mode, Role
from accounts.models import AuditEvent, Price, WebhookDelivery, WebhookEndpoint
from campaigns import services
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign, MessageTemplate
from campaigns.texts.message_templates import MAX_TEMPLATES
from messaging.models import Batch
from messaging.preflight import counting
from messaging.sending.expansion import expand_ready
from messaging.upkeep.sweeps import sweep
from tests.support.factories import AccountFactory, make_api_key, make_campaign, make_upload, phones
from uploads import contacts
from uploads.models import Upload

pytestmark = [pytest.mark.django_db, pytest.mark.once]

S = CampaignStatus


class Caller:
    def __init__(self, client, account=None, mode=Mode.LIVE, role=Role.OWNER):
        self.client = client
        self.row, self.key = make_api_key(account, mode=mode, role=role)
        self.account, self.user = self.row.account, self.row.user

    def call(self, method, path, body=None, **headers):
        sent = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        answer = self.client.generic(
            method.upper(), f"/api/v1/{path}", headers={"X-API-Key": self.key} | headers, **sent
        )
        return answer.status_code, answer.json() if answer.content else None

    def get(self, path):
        status, body = self.call("get", path)
        assert status == 200, body
        return body["data"]

    def post(self, path, body=None, status=200):
        found, answer = self.call("post", path, body)
        assert found == status, answer
        return answer["data"] or answer["error"]

    def patch(self, path, body, status=200):
        found, answer = self.call("patch", path, body)
        assert found == status, answer
        return answer["data"] or answer["error"]


@pytest.fixture
def caller(client) -> Caller:
    return Caller(client)


def test_a_campaign_from_draft_to_launch(caller):
    upload = make_upload(caller.account, [(phone, "Anna") for phone in phones(3)], ["phone", "name"])
    draft = caller.post("campaigns", {"name": "Sale", "message": "Hello {name}"}, 201)
    assert (draft["status"], draft["recipients_from"], draft["total_recipients"]) == ("DRAFT", None, 0)
    path = f"campaigns/{draft['bulk_id']}"
    changed = caller.patch(path, {"upload_id": upload.upload_id, "client_reference": "sale-1"})
    assert (changed["recipients_from"], changed["upload_id"], changed["columns"]) == (
        "upload",
        upload.upload_id,
        ["phone", "name"],
    )
    preview = caller.get(f"{path}/preview?limit=1")
    assert preview["placeholders"] == ["name"]
    assert [(row["row"], row["text"], row["segments"]) for row in preview["rows"]] == [(2, "Hello Anna", 1)]
    assert caller.get(f"{path}/preview?row=4")["rows"][0]["phone_number"] == phones(3)[2]
    receipt = caller.post(f"{path}/preflight")
    assert (receipt["progress"], receipt["recipients"], receipt["segments"]) == (1, 3, 3)
    assert caller.get(f"{path}/preflight") == receipt
    assert caller.post(f"{path}/launch")["status"] == "RUNNING"
    again = caller.post(f"{path}/launch", status=409)
    assert (again["code"], again["details"]["current_status"]) == ("INVALID_STATE", "RUNNING")
    read = caller.get(path)
    assert (read["name"], read["message"], read["client_reference"]) == ("Sale", "Hello {name}", "sale-1")
    events = AuditEvent.objects.filter(target_id=draft["bulk_id"]).order_by("pk")
    assert list(events.values_list("action", "user", "api_key_prefix")) == [
        (f"campaign.{act}", caller.user.pk, caller.row.prefix) for act in ("created", "changed", "started")
    ]


def test_the_same_key_launches_once_and_gets_the_same_answer(caller):
    draft = caller.post("campaigns", {"message": "Hello", "phone_numbers": phones(2)}, 201)
    path, key = f"campaigns/{draft['bulk_id']}/launch", {"Idempotency-Key": "launch-1"}
    answers = [caller.call("post", path, **key) for _ in range(2)]
    assert [status for status, _ in answers] == [200, 200]
    assert answers[0][1]["data"] == answers[1][1]["data"]


def test_receipts_are_counted_by_a_task_where_they_are_large(caller, monkeypatch):
    monkeypatch.setattr(counting, "AT_ONCE", 1)
    Price.objects.create(prefix="49", price_micro=70_000)
    draft = caller.post("campaigns", {"message": "Hello", "phone_numbers": phones(2)}, 201)
    path = f"campaigns/{draft['bulk_id']}/preflight"
    assert caller.call("get", path)[0] == 404
    assert caller.post(path, status=202)["progress"] == 0
    counting.count_slice(Campaign.objects.get().pk)
    receipt = caller.post(path)
    assert (receipt["price"], receipt["countries"][0]["price"], receipt["currency"]) == ("0.140000", "0.140000", "EUR")


def test_pausing_and_cancelling_say_what_could_not_be_stopped(caller):
    campaign = make_campaign(caller.account)
    path = f"campaigns/{campaign.bulk_id}"
    paused = caller.post(f"{path}/pause")
    assert (paused["status"], paused["pause_reason"], paused["on_their_way"]) == ("PAUSED", "by_user", 0)
    assert caller.post(f"{path}/pause", status=409)["details"]["current_status"] == "PAUSED"
    assert caller.post(f"{path}/resume")["status"] == "RUNNING"
    assert caller.post(f"{path}/resume", status=409)["code"] == "INVALID_STATE"
    cancelled = caller.post(f"{path}/cancel")
    assert (cancelled["status"], cancelled["on_their_way"]) == ("CANCELLED", 0)
    assert caller.post(f"{path}/cancel", status=409)["details"]["allowed"]


def test_a_second_person_approves(client):
    account = AccountFactory(approval_above=2)
    sender, admin = Caller(client, account, role=Role.SENDER), Caller(client, account, role=Role.ADMIN)
    started = sender.post("sms/bulk", {"message": "Hello", "phone_numbers": phones(3)}, 202)
    assert (started["status"], started["approval_requested_by"]) == ("AWAITING_APPROVAL", sender.user.username)
    path = f"campaigns/{started['bulk_id']}"
    assert sender.post(f"{path}/approve", status=403)["code"] == "PERMISSION_DENIED"
    wrong = admin.post(f"{path}/approve", {"approval_hash": "0" * 64}, 409)
    assert wrong["details"]["approval_hash"] == started["approval_hash"]
    approved = admin.post(f"{path}/approve", {"approval_hash": started["approval_hash"]})
    assert (approved["status"], approved["approved_by"]) == ("RUNNING", admin.user.username)
    assert admin.post(f"{path}/approve", status=409)["code"] == "INVALID_STATE"
    assert sender.post(f"{path}/withdraw", status=409)["code"] == "INVALID_STATE"


def test_cloning_resending_and_deleting(caller):
    campaign = make_campaign(caller.account, message="Hello {name|there}")
    path = f"campaigns/{campaign.bulk_id}"
    assert caller.post(f"{path}/resend-failed", status=409)["code"] == "INVALID_STATE"
    copy = caller.post(f"{path}/clone", status=201)
    assert (copy["status"], copy["total_recipients"], copy["recipients_from"]) == ("DRAFT", 3, "request")
    assert caller.call("delete", f"campaigns/{copy['bulk_id']}")[0] == 204
    assert caller.call("delete", path)[0] == 409
    assert Campaign.objects.get() == campaign


def test_what_failed_is_sent_again(caller):
    campaign = make_campaign(caller.account, valid_until=timezone.now() + timedelta(hours=1))
    expand_ready()
    services.cancel(campaign, caller.user)
    sweep()
    path = f"campaigns/{campaign.bulk_id}/resend-failed"
    assert caller.post(path, {"also": ["DELIVERED"]}, 400)["details"]["field"].startswith("also")
    assert caller.post(path, {"also": ["UNCONFIRMED"]}, 409)["code"] == "INVALID_STATE"
    resend = caller.post(path, {"also": ["CANCELLED"]}, 201)
    assert (resend["resend_of_bulk_id"], resend["total_recipients"]) == (campaign.bulk_id, 3)
    assert caller.post(path, {"also": ["CANCELLED"]}, 409)["code"] == "INVALID_STATE"


def test_a_bulk_send_from_a_contact_list_and_a_template(caller):
    contact_list = contacts.create_list(caller.account, caller.user, "Newsletter")
    contacts.put_contact(contact_list, caller.user, phones(1)[0], {"name": "Anna"})
    template = caller.post("templates", {"name": "Greeting", "message": "Hello {name}"}, 201)
    started = caller.post("sms/bulk", {"list_id": contact_list.list_id, "template_id": template["template_id"]}, 202)
    assert (started["message"], started["recipients_from"], started["status"]) == (
        "Hello {name}",
        "contacts",
        "RUNNING",
    )


# --- Lists ------------------------------------------------------------------------------------------------


def test_campaigns_are_found_by_kind_state_time_and_reference(caller):
    running = make_campaign(caller.account, client_reference="a-1")
    cancelled = make_campaign(caller.account)
    services.cancel(cancelled, caller.user)
    single = make_campaign(caller.account, kind=CampaignKind.SINGLE, client_reference="s-1")
    make_campaign(mode=Mode.LIVE)
    make_campaign(caller.account, mode=Mode.TEST)
    Campaign.objects.filter(pk=running.pk).update(created_at=timezone.now() - timedelta(days=1))

    def found(query):
        return [row["bulk_id"] for row in caller.get(f"campaigns{query}")["results"]]

    assert found("") == [cancelled.bulk_id, running.bulk_id]
    assert found("?kind=single") == [single.bulk_id]
    assert found("?status=CANCELLED") == [cancelled.bulk_id]
    hour_ago = (timezone.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found(f"?created_after={hour_ago}") == [cancelled.bulk_id]
    assert found(f"?created_before={hour_ago}") == [running.bulk_id]
    assert found("?created_after=2020-01-01T00:00:00+02:00") == [cancelled.bulk_id, running.bulk_id]
    assert found("?client_reference=s-1") == [single.bulk_id]
    assert found("?client_reference=s-1&kind=bulk") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=SLEEPING", "status"),
        ("status=running", "status"),
        ("kind=huge", "kind"),
        ("created_after=yesterday", "created_after"),
        ("created_before=2027-01-01", "created_before"),
        ("created_before=2027-01-01T00:00:00", "created_before"),
        ("created_after=", "created_after"),
        ("limit=1000000000", "limit"),
        ("state=running", "state"),
        ("status__in=running", "status__in"),
        ("_connector=OR", "_connector"),
        ("created_after=9999999999", "created_after"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(caller, query, field):
    status, body = caller.call("get", f"campaigns?{query}")
    assert (status, body["error"]["code"], body["error"]["details"]["field"]) == (400, "VALIDATION_ERROR", field)


@pytest.mark.parametrize("count", [1, 20])
def test_queries_do_not_grow_with_rows(caller, count, django_assert_num_queries):
    for number in range(count):
        upload = make_upload(caller.account, [(phones(1)[0],)], ["phone"])
        caller.post("campaigns", {"message": "Hello", "upload_id": upload.upload_id, "name": str(number)}, 201)
        caller.post("templates", {"name": str(number), "message": "Hello"}, 201)
    caller.get("campaigns")
    with django_assert_num_queries(2):  # key with its account, campaigns
        assert len(caller.get("campaigns")["results"]) == count
    with django_assert_num_queries(2):
        assert len(caller.get("templates")["results"]) == count


# --- What is refused --------------------------------------------------------------------------------------

BAD_NUMBERS = [["12"], ["abc"], [], "no list", [None], [{}], ["1" * 50], [phones(1)[0]] * 10_001]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"message": ""}, "message"),
        ({"message": "   "}, "message"),
        ({"message": "x" * 1601}, "message"),
        ({"message": "a\u0007b"}, "message"),
        ({"message": ["x"]}, "message"),
        ({"message": "Hi", "template_id": "tpl-1"}, "template_id"),
        ({"template_id": "tpl-none"}, "template_id"),
        ({"name": "x" * 121}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"sender_id": "Nobody"}, "sender_id"),
        ({"sender_id": "x" * 5000}, "sender_id"),
        ({"schedule_time": "tomorrow"}, "schedule_time"),
        ({"schedule_time": "2027-06-17T18:00:00"}, "schedule_time"),
        ({"schedule_time": 1e9}, "schedule_time"),
        ({"schedule_time": "2020-06-17T18:00:00Z"}, "schedule_time"),
        ({"valid_until": "2020-01-01T00:00:00Z"}, "valid_until"),
        ({"callback_url": "ftp://x"}, "callback_url"),
        ({"callback_url": "https://127.0.0.1/x"}, "callback_url"),
        ({"client_reference": "x" * 65}, "client_reference"),
        ({"client_reference": ""}, "client_reference"),
        ({"upload_id": "upl-none"}, "upload_id"),
        ({"list_id": "lst-none"}, "list_id"),
        ({"upload_id": "x", "list_id": "y"}, "phone_numbers"),
        ({"status": "running"}, "status"),
        ({"bulk_id": "bulk-1"}, "bulk_id"),
        ({"approved_by": 1}, "approved_by"),
        ({"account": 1}, "account"),
        ({"total_recipients": 5}, "total_recipients"),
        ({"approval_hash": "x"}, "approval_hash"),
        ({"mode": "test"}, "mode"),
        ({"kind": "single"}, "kind"),
        ({"reserved_micro": 0}, "reserved_micro"),
        *(({"phone_numbers": numbers}, "phone_numbers") for numbers in BAD_NUMBERS),
    ],
)
def test_a_wrong_value_is_named_and_nothing_changes(caller, change, field):
    """Made, changed and started: each the same."""
    body = change if "template_id" in change else {"message": "Hello"} | change
    draft = caller.post("campaigns", {"message": "Before", "phone_numbers": phones(2)}, 201)
    before = caller.get(f"campaigns/{draft['bulk_id']}")
    bulk = body if {"phone_numbers", "upload_id", "list_id"} & set(body) else body | {"phone_numbers": phones(1)}
    for method, path, sent in (
        ("post", "campaigns", body),
        ("patch", f"campaigns/{draft['bulk_id']}", change),
        ("post", "sms/bulk", bulk),
    ):
        status, answer = caller.call(method, path, sent)
        assert 400 <= status < 500, (method, answer)
        assert answer["error"]["details"]["field"].startswith(field), (method, answer)
    assert caller.get(f"campaigns/{draft['bulk_id']}") == before
    assert (Campaign.objects.count(), Batch.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/preview",
        "/preflight",
        "/launch",
        "/approve",
        "/withdraw",
        "/pause",
        "/resume",
        "/cancel",
        "/resend-failed",
        "/clone",
    ],
)
def test_anothers_campaign_is_not_found_and_not_touched(client, caller, path):
    theirs = Campaign.objects.get(pk=make_campaign().pk)
    test_mode = make_campaign(caller.account, mode=Mode.TEST)
    for bulk_id in (theirs.bulk_id, test_mode.bulk_id, "bulk-none", "x" * 300):
        for method in ("get", "post", "patch", "delete"):
            status, answer = caller.call(method, f"campaigns/{bulk_id}{path}", {} if method != "get" else None)
            assert status in (404, 405), (method, answer)
    theirs.refresh_from_db()
    assert theirs.status == S.RUNNING
    assert Campaign.objects.count() == 2


def test_foreign_ids_in_a_body_are_not_found(caller):
    stranger = Caller(caller.client)
    upload = make_upload(stranger.account, [(phones(1)[0],)], ["phone"])
    contact_list = contacts.create_list(stranger.account, stranger.user, "Theirs")
    template = stranger.post("templates", {"name": "Theirs", "message": "Hello"}, 201)
    for body in (
        {"message": "Hello", "upload_id": upload.upload_id},
        {"message": "Hello", "list_id": contact_list.list_id},
        {"template_id": template["template_id"], "phone_numbers": phones(1)},
    ):
        for path in ("campaigns", "sms/bulk"):
            assert caller.post(path, body, 404)["code"] == "NOT_FOUND"
    assert not Campaign.objects.exists()
    assert Upload.objects.count() == 1


@pytest.mark.parametrize("query", ["row=0", "row=-1", "row=x", "row=99999999999", "limit=0", "limit=101", "rows=1"])
def test_a_preview_that_makes_no_sense(caller, query):
    draft = caller.post("campaigns", {"message": "Hello", "phone_numbers": phones(2)}, 201)
    status, body = caller.call("get", f"campaigns/{draft['bulk_id']}/preview?{query}")
    assert (status, body["error"]["details"]["field"]) == (400, query.split("=")[0])
    assert caller.call("get", f"campaigns/{draft['bulk_id']}/preview?row=3")[0] == 404


@pytest.mark.parametrize("act", ["launch", "withdraw", "pause", "resume", "cancel", "clone", "preflight"])
def test_an_action_takes_no_fields(caller, act):
    draft = caller.post("campaigns", {"message": "Hello", "phone_numbers": phones(2)}, 201)
    assert caller.post(f"campaigns/{draft['bulk_id']}/{act}", {"force": True}, 400)["details"]["field"] == "force"
    assert Campaign.objects.get().status == S.DRAFT


def test_viewers_read_and_change_nothing(client):
    viewer = Caller(client, role=Role.VIEWER)
    campaign = make_campaign(viewer.account)
    assert viewer.get(f"campaigns/{campaign.bulk_id}")["status"] == "RUNNING"
    for method, path in (
        ("post", "campaigns"),
        ("patch", f"campaigns/{campaign.bulk_id}"),
        ("delete", f"campaigns/{campaign.bulk_id}"),
        ("post", f"campaigns/{campaign.bulk_id}/cancel"),
        ("post", "templates"),
    ):
        assert viewer.call(method, path, {})[0] == 403
    assert Campaign.objects.get().status == S.RUNNING


def test_a_reference_that_is_taken_names_its_send(caller):
    first = caller.post("sms/bulk", {"message": "Hello", "phone_numbers": phones(1), "client_reference": "a"}, 202)
    for path, numbers in (("sms/bulk", 1), ("campaigns", 1), ("sms/send", 1)):
        body = {"message": "Hello", "phone_numbers": phones(numbers), "client_reference": "a"}
        error = caller.post(path, body, 409)
        assert (error["code"], error["details"]["existing_bulk_id"]) == ("DUPLICATE_REFERENCE", first["bulk_id"])
    assert Campaign.objects.count() == 1


# --- Events -----------------------------------------------------------------------------------------------


def test_the_account_is_told_of_what_becomes_of_a_campaign(caller):
    WebhookEndpoint.objects.create(
        account=caller.account,
        mode=Mode.LIVE,
        kind=EndpointKind.ENDPOINT,
        endpoint_id="we_1",
        url="https://example.com",
    )
    draft = caller.post("campaigns", {"message": "Hello", "phone_numbers": phones(2)}, 201)
    assert not WebhookDelivery.objects.exists()
    for act in ("launch", "pause", "resume", "cancel"):
        caller.post(f"campaigns/{draft['bulk_id']}/{act}")
    told = WebhookDelivery.objects.order_by("pk").values_list("event_type", flat=True)
    assert list(told) == ["campaign.started", "campaign.paused", "campaign.started", "campaign.cancelled"]


# --- Templates --------------------------------------------------------------------------------------------


def test_a_template_is_made_read_changed_copied_and_deleted(caller):
    made = caller.post("templates", {"name": "Reminder", "message": "Hello {first_name|there}, at {time} €"}, 201)
    assert (made["placeholders"], made["encoding"], made["segments"]) == (["time"], "gsm7", 1)
    path = f"templates/{made['template_id']}"
    draft = caller.post("campaigns", {"template_id": made["template_id"]}, 201)
    changed = caller.patch(path, {"message": "Привет {time}"})
    assert (changed["name"], changed["encoding"]) == ("Reminder", "ucs2")
    assert caller.get(path)["message"] == "Привет {time}"
    assert caller.get(f"campaigns/{draft['bulk_id']}")["message"] == made["message"]
    assert [row["name"] for row in caller.get("templates")["results"]] == ["Reminder"]
    assert caller.call("delete", path)[0] == 204
    assert caller.call("get", path)[0] == 404
    assert list(AuditEvent.objects.filter(target_type="template").order_by("pk").values_list("action", flat=True)) == [
        "template.created",
        "template.changed",
        "template.deleted",
    ]


def test_the_name_of_a_template_stands_once_in_an_account(caller):
    caller.post("templates", {"name": "A", "message": "Hello"}, 201)
    other = caller.post("templates", {"name": "B", "message": "Hello"}, 201)
    assert caller.post("templates", {"name": "A", "message": "Hi"}, 409)["code"] == "ALREADY_EXISTS"
    assert caller.patch(f"templates/{other['template_id']}", {"name": "A"}, 409)["details"]["field"] == "name"
    Caller(caller.client).post("templates", {"name": "A", "message": "Hello"}, 201)
    assert sorted(MessageTemplate.objects.values_list("name", flat=True)) == ["A", "A", "B"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"message": " "}, "message"),
        ({"message": "x" * 1601}, "message"),
        ({"message": "\u0000"}, "message"),
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"template_id": "tpl-1"}, "template_id"),
        ({"account": 1}, "account"),
    ],
)
def test_a_wrong_template_is_refused_and_nothing_changes(caller, change, field):
    made = caller.post("templates", {"name": "A", "message": "Hello"}, 201)
    for method, path, body in (
        ("post", "templates", {"name": "B", "message": "Hello"} | change),
        ("patch", f"templates/{made['template_id']}", change),
    ):
        status, answer = caller.call(method, path, body)
        assert 400 <= status < 500
        assert answer["error"]["details"]["field"] == field
    assert list(MessageTemplate.objects.values_list("name", "message")) == [("A", "Hello")]


def test_anothers_template_is_not_found(caller):
    theirs = Caller(caller.client).post("templates", {"name": "A", "message": "Hello"}, 201)
    for method, body in (("get", None), ("patch", {"name": "B"}), ("delete", None)):
        assert caller.call(method, f"templates/{theirs['template_id']}", body)[0] == 404
    assert MessageTemplate.objects.get().name == "A"


def test_templates_have_a_limit(caller):
    MessageTemplate.objects.bulk_create(
        MessageTemplate(account=caller.account, user=caller.user, template_id=f"tpl-{n}", name=f"{n}", message="Hi")
        for n in range(MAX_TEMPLATES)
    )
    assert caller.post("templates", {"name": "More", "message": "Hi"}, 409)["code"] == "INVALID_STATE"
