"""A customer's own name for a send: unique in the account and mode, by the database and not by looking first."""

import json
from typing import Any

import pytest
from django.db import connection

from accounts.choices import Mode
from campaigns.models import Campaign
from campaigns.validation import CampaignRequest
from messaging.models import Message
from messaging.services import send
from smsapp.core.exceptions import DuplicateReference
from tests.support.factories import MembershipFactory, make_api_key, phones
from tests.support.together import run_together

pytestmark = pytest.mark.django_db
CALLERS = 8


def request(reference: str | None, mode: Mode = Mode.LIVE) -> CampaignRequest:
    return CampaignRequest(kind="single", message="Hello", client_reference=reference, mode=mode)


def test_a_second_send_with_a_reference_is_refused_and_leaves_nothing() -> None:
    member = MembershipFactory()
    first = send(member.account, member.user, request("order-1"), phones(1))
    with pytest.raises(DuplicateReference) as refused:
        send(member.account, member.user, request("order-1"), phones(3, 5))
    assert refused.value.details["existing_bulk_id"] == first.campaign.bulk_id
    assert Campaign.objects.count() == Message.objects.count() == 1


def test_a_reference_is_an_accounts_own_and_a_modes_and_may_be_left_out() -> None:
    member, other = MembershipFactory(), MembershipFactory()
    send(member.account, member.user, request("order-1"), phones(1))
    send(other.account, other.user, request("order-1"), phones(1))
    send(member.account, member.user, request("order-1", Mode.TEST), phones(1))
    for _ in range(2):
        send(member.account, member.user, request(None), phones(1))
    assert Campaign.objects.count() == 5


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_is_sent() -> None:
    member = MembershipFactory()
    refused: list[str] = []

    def act() -> None:
        try:
            send(member.account, member.user, request("order-1"), phones(1))
        except DuplicateReference as error:
            refused.append(error.details["existing_bulk_id"])

    run_together(*[act] * CALLERS)
    assert set(refused) == {Campaign.objects.get().bulk_id}
    assert len(refused) == CALLERS - 1
    assert connection.vendor == "postgresql"


@pytest.mark.once
@pytest.mark.parametrize("reference", ["", " a", "a ", "x" * 65, "é", "a\nb", "a\x00b", 7, ["a"], {}])
def test_a_reference_has_a_shape(client: Any, reference: object) -> None:
    _, key = make_api_key()
    body = {"phone_numbers": phones(1), "message": "Hello", "client_reference": reference}
    for path in ("sms/send", "sms/bulk", "campaigns"):
        answer = client.post(
            f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers={"X-API-Key": key}
        )
        assert answer.status_code == 400
        assert answer.json()["error"]["details"]["field"] == "client_reference"
    assert not Campaign.objects.exists()


@pytest.mark.once
def test_it_is_shown_wherever_the_send_is(client: Any) -> None:
    _, key = make_api_key()

    def call(path: str, body: Any = None) -> Any:
        method = client.get if body is None else client.post
        return method(f"/api/v1/{path}", body, content_type="application/json", headers={"X-API-Key": key}).json()[
            "data"
        ]

    sent = call("sms/send", {"phone_numbers": phones(1), "message": "Hello", "client_reference": "order 1"})
    assert sent["client_reference"] == "order 1"
    assert call(f"campaigns/{sent['bulk_id']}")["client_reference"] == "order 1"
    assert call(f"sms/reports/{sent['messages'][0]['message_id']}")["client_reference"] == "order 1"
    bulk = call("sms/bulk", {"phone_numbers": phones(1), "message": "Hello", "client_reference": "order 2"})
    assert bulk["client_reference"] == "order 2"
    assert [row["bulk_id"] for row in call("campaigns?client_reference=order 2")["results"]] == [bulk["bulk_id"]]
