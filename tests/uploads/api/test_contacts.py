"""Contact lists, contacts and suppressions as a developer uses them."""

from typing import Any

import orjson
import pytest
from django.test import Client

from accounts.models import AuditEvent
from tests.support.factories import make_api_key, make_upload, phones
from uploads.audiences import audience_from_numbers, numbers
from uploads.contacts import snapshot
from uploads.models import Contact, ContactList, Suppression

pytestmark = [pytest.mark.django_db, pytest.mark.once]
LISTS = "/api/v1/contact-lists"
SUPPRESSIONS = "/api/v1/suppressions"


class Caller:
    """Calls the API with one key; answers (status, data or error)."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.key, self.text = make_api_key()

    def __call__(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        answer = self.client.generic(
            method,
            path,
            *([] if body is None else [orjson.dumps(body)]),
            content_type="application/json",
            headers={"X-API-Key": self.text},
        )
        if answer.status_code == 204:
            return 204, None
        content = answer.json()
        return answer.status_code, content["data"] if content["success"] else content["error"]


@pytest.fixture
def call(client: Client) -> Caller:
    return Caller(client)


@pytest.fixture
def path(call: Caller) -> str:
    return f"{LISTS}/{call('POST', LISTS, {'name': 'Newsletter'})[1]['list_id']}"


def test_a_list_is_made_renamed_and_deleted(call: Caller) -> None:
    status, made = call("POST", LISTS, {"name": "Newsletter"})
    assert (status, made["name"], made["contact_count"]) == (201, "Newsletter", 0)
    path = f"{LISTS}/{made['list_id']}"
    assert call("PATCH", path, {"name": "News"})[1]["name"] == "News"
    assert [row["name"] for row in call("GET", LISTS)[1]["results"]] == ["News"]
    assert call("DELETE", path)[0] == 204
    assert call("GET", path)[0] == 404
    acts = AuditEvent.objects.filter(target_type="contact_list").order_by("pk")
    assert list(acts.values_list("action", flat=True)) == [
        "contact_list.created",
        "contact_list.renamed",
        "contact_list.deleted",
    ]


def test_a_name_is_taken_once_in_an_account(call: Caller, client: Client) -> None:
    call("POST", LISTS, {"name": "Newsletter"})
    status, error = call("POST", LISTS, {"name": "Newsletter"})
    assert (status, error["code"], error["details"]["field"]) == (409, "ALREADY_EXISTS", "name")
    assert Caller(client)("POST", LISTS, {"name": "Newsletter"})[0] == 201


def test_a_number_in_any_format_is_one_contact(call: Caller, path: str) -> None:
    new = call("POST", f"{path}/contacts", {"phone_number": "0151 12345678", "values": {"first_name": "Anna"}})
    assert new[0] == 201
    assert new[1]["phone_number"] == "+4915112345678"
    again = call("POST", f"{path}/contacts", {"phone_number": "+49 (151) 12345678", "values": {"first_name": "Bea"}})
    assert (again[0], again[1]["values"]) == (200, {"first_name": "Bea"})
    assert call("GET", path)[1]["contact_count"] == 1
    assert call("GET", f"{path}/contacts/015112345678")[1]["values"] == {"first_name": "Bea"}
    assert call("DELETE", f"{path}/contacts/+4915112345678")[0] == 204
    assert call("GET", path)[1]["contact_count"] == 0
    assert call("DELETE", f"{path}/contacts/+4915112345678")[0] == 404


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"phone_number": "123"}, 400, "phone_number"),
        ({}, 400, "phone_number"),
        ({"phone_number": "+4915112345678", "values": {"": "x"}}, 400, "values."),
        ({"phone_number": "+4915112345678", "values": {"a{b": "x"}}, 400, "values.a{b"),
        ({"phone_number": "+4915112345678", "values": {"a": ["x"]}}, 400, "values.a"),
        ({"phone_number": "+4915112345678", "values": {f"n{n}": "" for n in range(51)}}, 400, "values"),
        ({"phone_number": "+4915112345678", "contact_list": 1}, 400, "contact_list"),
    ],
)
def test_a_wrong_contact_is_refused_by_name(call: Caller, path: str, body: object, status: int, field: str) -> None:
    answer = call("POST", f"{path}/contacts", body)
    assert (answer[0], answer[1]["details"]["field"]) == (status, field)
    assert not Contact.objects.exists()


def test_an_upload_is_imported_whole_and_again_without_doubling(call: Caller, path: str) -> None:
    upload = make_upload(call.key.account, [(phone, "Anna") for phone in phones(12)], ["phone", "first_name"])
    call("POST", f"{path}/contacts", {"phone_number": phones(1)[0], "values": {"first_name": "Old"}})
    status, answer = call("POST", f"{path}/import", {"upload_id": upload.upload_id})
    assert (status, answer) == (200, {"added": 11, "changed": 1, "contact_count": 12})
    assert call("POST", f"{path}/import", {"upload_id": upload.upload_id})[1]["added"] == 0
    assert call("GET", f"{path}/contacts/{phones(1)[0]}")[1]["values"]["first_name"] == "Anna"
    assert Contact.objects.count() == ContactList.objects.get().contact_count == 12


def test_a_foreign_upload_cannot_be_imported(call: Caller, path: str, client: Client) -> None:
    other = make_upload(Caller(client).key.account, [(phone,) for phone in phones(2)], ["phone"])
    assert call("POST", f"{path}/import", {"upload_id": other.upload_id})[0] == 404
    assert not Contact.objects.exists()


def test_a_snapshot_keeps_what_the_list_was(call: Caller, path: str) -> None:
    list_id = path.rpartition("/")[2]
    first, second = phones(2)
    call("POST", f"{path}/contacts", {"phone_number": first, "values": {"first_name": "Anna"}})
    call("POST", f"{path}/contacts", {"phone_number": second, "values": {"city": "Ulm"}})
    audience = snapshot(call.key.account, list_id)
    call("DELETE", path)
    assert audience.columns == ["first_name", "city"]
    assert [phone for _, phone in numbers(audience)] == [first, second]
    assert audience.recipient_count == 2


def test_contacts_of_another_account_are_404_in_every_position(call: Caller, path: str, client: Client) -> None:
    call("POST", f"{path}/contacts", {"phone_number": "+4915112345678"})
    other = Caller(client)
    contact = f"{path}/contacts/+4915112345678"
    for method, where, body in (
        ("GET", path, None),
        ("PATCH", path, {"name": "Mine"}),
        ("DELETE", path, None),
        ("GET", f"{path}/contacts", None),
        ("POST", f"{path}/contacts", {"phone_number": "+4915112345679"}),
        ("GET", contact, None),
        ("DELETE", contact, None),
        ("POST", f"{path}/import", {"upload_id": "x"}),
    ):
        assert other(method, where, body)[0] == 404, (method, where)
    assert Contact.objects.get().phone_number == "+4915112345678"


def test_a_suppression_is_by_number_and_shows_two_digits(call: Caller, client: Client) -> None:
    status, row = call("POST", SUPPRESSIONS, {"phone_number": "0151 12345678", "note": "asked by phone"})
    assert (status, row["phone_hint"], row["note"]) == (201, "78", "asked by phone")
    assert call("POST", SUPPRESSIONS, {"phone_number": "+4915112345678"})[0] == 200
    assert call("GET", f"{SUPPRESSIONS}/+4915112345678")[0] == 200
    assert Caller(client)("GET", f"{SUPPRESSIONS}/+4915112345678")[0] == 404
    refused = call("POST", "/api/v1/sms/send", {"phone_numbers": ["+4915112345678"], "message": "Hi"})
    assert (refused[0], refused[1]["code"]) == (422, "RECIPIENT_OPTED_OUT")
    assert call("DELETE", f"{SUPPRESSIONS}/015112345678")[0] == 204
    assert call("DELETE", f"{SUPPRESSIONS}/015112345678")[0] == 404
    assert not Suppression.objects.exists()
    assert AuditEvent.objects.filter(action__startswith="suppression.").count() == 2


def test_lists_cost_the_same_queries_however_long(call: Caller, path: str, django_assert_max_num_queries: Any) -> None:
    contact_list = ContactList.objects.get()
    Contact.objects.bulk_create(Contact(contact_list=contact_list, phone_number=phone) for phone in phones(150))
    with django_assert_max_num_queries(6):
        page = call("GET", f"{path}/contacts?limit=100")[1]
    assert len(page["results"]) == 100
    assert page["next"]


def test_numbers_of_a_request_make_no_contacts(call: Caller) -> None:
    audience_from_numbers(call.key.account, [(1, "+4915112345678")])
    assert not Contact.objects.exists()
