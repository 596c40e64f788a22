"""`/senders` as a customer's program sees it."""

import pytest

from accounts.choices import Scope
from accounts.models import SenderId
from tests.support.factories import SenderIdFactory, make_api_key

pytestmark = [pytest.mark.django_db, pytest.mark.once]

URL = "/api/v1/senders"


@pytest.fixture
def owner(client):
    key, text = make_api_key()
    client.defaults["HTTP_X_API_KEY"] = text
    client.account = key.account
    return client


def post(client, body):
    return client.post(URL, body, content_type="application/json")


def test_a_sender_is_asked_for_read_and_taken_back(owner):
    asked = post(owner, {"sender_id": "YourBrand"})
    sender = asked.json()["data"]
    assert asked.status_code == 201
    assert (sender["sender_id"], sender["kind"], sender["status"]) == ("YourBrand", "alphanumeric", "PENDING")
    assert post(owner, {"sender_id": "YourBrand"}).status_code == 200
    assert owner.get(f"{URL}/{sender['sender_id']}").json()["data"] == sender
    assert [row["sender_id"] for row in owner.get(URL).json()["data"]["results"]] == [sender["sender_id"]]
    assert owner.delete(f"{URL}/{sender['sender_id']}").status_code == 200
    assert owner.get(f"{URL}/{sender['sender_id']}").status_code == 404


def test_a_decided_sender_stays(owner):
    sender = SenderIdFactory(account=owner.account)
    answer = owner.delete(f"{URL}/{sender.value}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "INVALID_STATE")
    assert answer.json()["error"]["details"]["current_status"] == "APPROVED"
    assert SenderId.objects.get() == sender


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "sender_id"),
        ({"sender_id": ""}, "sender_id"),
        ({"sender_id": "TwelveLetter"}, "sender_id"),
        ({"sender_id": "x" * 17}, "sender_id"),
        ({"sender_id": "a\r\nb"}, "sender_id"),
        ({"sender_id": ["a"]}, "sender_id"),
        ({"sender_id": "Brand", "status": "approved"}, "status"),
        ({"sender_id": "Brand", "account": 1}, "account"),
        ({"sender_id": "Brand", "kind": "number"}, "kind"),
    ],
)
def test_bad_input_names_its_field_and_asks_for_nothing(owner, body, field):
    answer = post(owner, body)
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, field)
    assert not SenderId.objects.exists()


@pytest.mark.parametrize("number", ["0", str(2**63), "9" * 400, "x", "-1", "1.0"])
def test_unknown_ids_are_404(owner, number):
    assert owner.get(f"{URL}/{number}").status_code == 404
    assert owner.delete(f"{URL}/{number}").status_code == 404


def test_a_list_costs_the_same_queries_however_long_it_is(owner, django_assert_max_num_queries):
    owner.get(URL)
    for count in (1, 10):
        for n in range(count):
            SenderIdFactory(account=owner.account, value=f"B{count} {n}")
        with django_assert_max_num_queries(2):
            assert len(owner.get(URL).json()["data"]["results"]) >= count


def test_without_the_scope_a_sender_is_read_and_not_asked_for(client):
    _, text = make_api_key(scopes=[Scope.ACCOUNT_READ])
    client.defaults["HTTP_X_API_KEY"] = text
    assert client.get(URL).status_code == 200
    answer = post(client, {"sender_id": "YourBrand"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "INSUFFICIENT_SCOPE")
    assert answer.json()["error"]["details"]["required_scope"] == "account:write"
