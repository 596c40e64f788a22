"""Messages from handsets: kept once, given to the account they answer, told to its systems, read over the API."""

from typing import Any

import orjson
import pytest
from django.db import OperationalError
from django.test import Client

from accounts.choices import Mode, SenderKind
from accounts.models import WebhookDelivery, WebhookEndpoint
from campaigns.choices import CampaignKind
from campaigns.services import CampaignRequest
from messaging.gateways.registry import callback_token
from messaging.inbound import replies
from messaging.models import InboundMessage, Message
from messaging.services import send
from tests.support.factories import AccountFactory, MembershipFactory, SenderIdFactory, make_api_key

pytestmark = pytest.mark.django_db
HANDSET, OURS = "+4915112345678", "+4915799912345"


def path(token: str = "") -> str:
    return f"/callbacks/simulator/{token or callback_token('simulator')}/inbound"


def body(*references: str, **changes: object) -> bytes:
    results = [
        {
            "messageId": reference,
            "from": HANDSET[1:],
            "to": OURS[1:],
            "text": "QUIZ Paris",
            "cleanText": "Paris",
            "keyword": "QUIZ",
            "receivedAt": "2026-11-09T16:00:00.000+0000",
            "smsCount": 1,
            "price": {"pricePerMessage": 0, "currency": "EUR"},
        }
        | changes
        for reference in references
    ]
    return orjson.dumps({"results": results, "messageCount": len(results), "pendingMessageCount": 0})


def push(client: Client, content: bytes, token: str = "") -> int:
    return client.post(path(token), content, content_type="application/json").status_code


def text_from(account: Any, sender_id: str, mode: Mode = Mode.LIVE) -> int:
    """A message of this account to the handset; its number."""
    membership = MembershipFactory(account=account)
    SenderIdFactory.create(account=account, value=sender_id, kind=SenderKind.NUMBER)
    request = CampaignRequest(kind=CampaignKind.SINGLE, message="Quiz?", sender_id=sender_id, mode=mode)
    send(account, membership.user, request, [HANDSET])
    return Message.objects.order_by("-id").values_list("id", flat=True)[0]


def test_a_message_is_kept_once_however_often_it_is_pushed(client: Client) -> None:
    assert [push(client, body("a", "b")), push(client, body("b", "c"))] == [200, 200]
    assert sorted(InboundMessage.objects.values_list("provider_reference", flat=True)) == ["a", "b", "c"]
    kept = InboundMessage.objects.get(provider_reference="a")
    assert (kept.phone_number, kept.recipient, kept.text, kept.keyword) == (HANDSET, OURS[1:], "QUIZ Paris", "QUIZ")
    assert f"{kept.received_at:%Y-%m-%d %H}" == "2026-11-09 16"


def test_it_belongs_to_the_account_it_answers(client: Client) -> None:
    first, second = AccountFactory(), AccountFactory()
    text_from(first, OURS)
    number = text_from(second, OURS)
    text_from(first, "+4915799900000")
    push(client, body("a"))
    kept = InboundMessage.objects.get()
    assert (kept.account, kept.reply_to) == (second, number)


def test_without_an_earlier_message_the_only_owner_of_the_number_gets_it(client: Client) -> None:
    owner = SenderIdFactory.create(value=OURS, kind=SenderKind.NUMBER).account
    push(client, body("a"))
    assert InboundMessage.objects.get().account == owner


def test_what_could_be_of_two_accounts_is_of_none(client: Client) -> None:
    for _ in range(2):
        SenderIdFactory.create(value=OURS, kind=SenderKind.NUMBER)
    push(client, body("a"))
    assert InboundMessage.objects.get().account is None


def test_the_accounts_systems_are_told_once(client: Client) -> None:
    owner = SenderIdFactory.create(value=OURS, kind=SenderKind.NUMBER).account
    WebhookEndpoint.objects.create(account=owner, endpoint_id="we-1", url="https://example.com/hook")
    push(client, body("a"))
    push(client, body("a"))
    event = orjson.loads(WebhookDelivery.objects.get().body)
    assert event["type"] == "inbound.received"
    assert event["data"]["text"] == "QUIZ Paris"


def test_a_wrong_token_is_404_and_keeps_nothing(client: Client) -> None:
    assert push(client, body("a"), token="wrong") == 404
    assert not InboundMessage.objects.exists()


@pytest.mark.parametrize("content", [b"", b"no", b"[]", b'{"results": 1}', b'{"messages": []}'])
def test_what_is_no_body_of_messages_is_400(client: Client, content: bytes) -> None:
    assert push(client, content) == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "a\x00b"},
        {"text": "x" * 5000},
        {"text": None},
        {"from": "Bank"},
        {"from": None},
        {"to": "1" * 60},
        {"receivedAt": "soon"},
        {"receivedAt": None},
        {"smsCount": "many"},
        {"keyword": ["x"]},
        {"from": "9" * 40},
    ],
    ids=str,
)
def test_an_odd_message_is_kept_as_far_as_it_can_be_read(client: Client, changes: dict[str, Any]) -> None:
    assert push(client, body("a", **changes)) == 200
    assert InboundMessage.objects.count() == 1


def test_a_database_that_is_away_makes_the_provider_come_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as broken:
        broken.setattr(replies, "_row", away)
        assert push(client, body("a")) == 503
    assert push(client, body("a")) == 200


def test_the_customer_reads_the_own_messages_only(client: Client) -> None:
    row, key = make_api_key()
    _, other = make_api_key()
    SenderIdFactory.create(account=row.account, value=OURS, kind=SenderKind.NUMBER)
    push(client, body("a", "b"))
    push(client, body("c", **{"from": "4915112345679"}))

    def get(where: str, text: str = key) -> Any:
        return client.get(f"/api/v1/inbound{where}", headers={"X-API-Key": text})

    assert len(get("").json()["data"]["results"]) == 3
    assert len(get("?phone_number=015112345679").json()["data"]["results"]) == 1
    one = get("?limit=1").json()["data"]["results"][0]
    assert get(f"/{one['inbound_id']}").json()["data"] == one
    assert get(f"/{one['inbound_id']}", other).status_code == 404
    assert get("", other).json()["data"]["results"] == []
    assert get("?phone_number=x").status_code == 400
    test_key = make_api_key(account=row.account, mode=Mode.TEST)[1]
    assert get("", test_key).json()["data"]["results"] == []
