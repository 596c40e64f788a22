"""What a customer sees of money: what they pay, on message, report, webhook and ledger, and no price of a provider."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.test import Client
from django.urls import reverse

from accounts.billing import credit
from accounts.billing.prices import import_prices
from accounts.choices import Mode
from accounts.models import Account, WebhookEndpoint
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from campaigns.validation import CampaignRequest
from messaging.choices import FactSource, MessageStatus, Reason
from messaging.gateways.base import Report
from messaging.models import DeliveryReport, Message
from messaging.outcomes import billing, settlement
from messaging.sending.expansion import expand_ready
from messaging.services import send
from tests.support.api_routes import ROUTES, Things, ask, of_key, value_in
from tests.support.factories import AccountFactory, MembershipFactory, make_api_key, make_campaign, phones
from tests.support.page_routes import PAGES, World, address

pytestmark = [pytest.mark.django_db, pytest.mark.once]

S = MessageStatus
PRICE = "0.09"
PROVIDERS = Decimal("0.123457")
DIGITS = "123457"


@pytest.fixture
def account() -> Account:
    account = AccountFactory(is_metered=True)
    import_prices([f"49,{PRICE}"], None, "EUR", None)
    credit.top_up(account, 100 * credit.MICRO, "for the test", None)
    return account


class Reader:
    def __init__(self, client: Client, account: Account, mode: Mode = Mode.LIVE) -> None:
        self.client, self.key = client, make_api_key(account, mode)[1]

    def __call__(self, path: str) -> Any:
        answer = self.client.get(f"/api/v1/{path}", headers={"X-API-Key": self.key})
        assert answer.status_code == 200, answer.content
        assert DIGITS not in answer.content.decode()
        return answer.json()["data"]

    def prices(self, path: str) -> list[tuple[str, str | None, str | None]]:
        return [(row["status"], row["price"], row["currency"]) for row in self(path)["results"]]


@pytest.fixture
def read(client: Client, account: Account) -> Reader:
    return Reader(client, account)


def send_one(account: Account, message: str = "Hello", mode: Mode = Mode.LIVE, count: int = 1) -> Campaign:
    request = CampaignRequest(kind=CampaignKind.SINGLE, message=message, mode=mode)
    start = 1000 * Campaign.objects.count()
    return send(account, MembershipFactory(account=account).user, request, phones(count, start)).campaign


def tell(message: Message, *statuses: S) -> None:
    for status in statuses:
        report = Report(message.message_id, status, price=PROVIDERS, currency="PLN", provider_status=status.label)
        settlement.apply(settlement.facts_from([report], FactSource.PUSH)[0])


def of(campaign: Campaign) -> Message:
    return Message.objects.get(campaign=campaign)


def test_each_message_says_what_is_paid_for_it(account: Account, read: Reader) -> None:
    ends = [
        (),
        (S.SENT,),
        (S.DELIVERED,),
        (S.UNDELIVERED,),
        (S.REJECTED,),
        (S.SENT, S.REJECTED),
        (S.SENT, S.UNCONFIRMED),
    ]
    for end in ends:
        tell(of(send_one(account)), *end)
    tell(of(send_one(account, "x" * 161)), S.DELIVERED)
    paid, free = ("0.090000", "EUR"), ("0.000000", "EUR")
    assert read.prices("messages")[::-1] == [
        ("PENDING", None, None),
        ("SENT", *paid),
        ("DELIVERED", *paid),
        ("UNDELIVERED", *paid),
        ("REJECTED", *free),
        ("UNDELIVERED", *free),
        ("UNCONFIRMED", *free),
        ("DELIVERED", "0.180000", "EUR"),
    ]
    for row in read("messages")["results"]:
        alone = read(f"messages/{row['message_id']}")
        assert {name: alone[name] for name in row} == row


def test_each_report_says_what_is_paid_as_of_it(account: Account, read: Reader) -> None:
    campaign = send_one(account)
    tell(of(campaign), S.SENT, S.REJECTED)
    expected = [("UNDELIVERED", "0.000000", "EUR"), ("SENT", "0.090000", "EUR")]
    assert read.prices("sms/reports") == expected
    alone = read(f"sms/reports/{of(campaign).message_id}")
    assert [(row["status"], row["price"], row["currency"]) for row in alone["reports"]] == expected[::-1]
    assert (alone["price"], alone["currency"]) == ("0.000000", "EUR")


def test_the_ledger_names_each_send_and_adds_up_to_its_messages(account: Account, read: Reader) -> None:
    sends = [send_one(account), send_one(account, "x" * 161), send_one(account, count=3)]
    bulk = make_campaign(account, 2)
    expand_ready()
    for message in Message.objects.all():
        tell(message, S.DELIVERED)
    billing.settle()
    posted = {row["bulk_id"]: row for row in read("account/ledger?kind=charge")["results"]}
    assert {name: row["amount"] for name, row in posted.items()} == {
        sends[0].bulk_id: "-0.090000",
        sends[1].bulk_id: "-0.180000",
        sends[2].bulk_id: "-0.270000",
        bulk.bulk_id: "-0.180000",
    }
    assert posted[sends[0].bulk_id]["note"] == "1 segment"
    for name, row in posted.items():
        paid = sum(Decimal(one["price"]) for one in read(f"messages?bulk_id={name}")["results"])
        assert paid == -Decimal(row["amount"])
        assert read(f"account/ledger?bulk_id={name}")["results"] == [row]
    credits = [Decimal(row["credit_after"]) for row in read("account/ledger")["results"]]
    assert credits == sorted(credits)
    assert list(billing.disagreements()) == []


def test_what_was_charged_and_proved_free_is_given_back_by_name(account: Account, read: Reader) -> None:
    campaign = send_one(account)
    tell(of(campaign), S.SENT)
    billing.settle_closed()
    tell(of(campaign), S.REJECTED)
    billing.settle_closed()
    rows = read(f"account/ledger?bulk_id={campaign.bulk_id}")["results"]
    assert [(row["kind"], row["amount"]) for row in rows] == [("refund", "0.090000"), ("charge", "-0.090000")]
    assert read.prices("messages") == [("UNDELIVERED", "0.000000", "EUR")]


def test_who_does_not_pay_by_message_has_no_prices(client: Client, account: Account) -> None:
    tell(of(send_one(account, mode=Mode.TEST)), S.DELIVERED)
    free = AccountFactory()
    tell(of(send_one(free)), S.DELIVERED)
    for read in (Reader(client, account, Mode.TEST), Reader(client, free)):
        assert read.prices("messages") == read.prices("sms/reports") == [("DELIVERED", None, None)]


def test_webhooks_say_what_is_paid(account: Account, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    free = AccountFactory()
    endpoints = [
        WebhookEndpoint.objects.create(account=one, endpoint_id=f"we_{one.pk}", url="http://127.0.0.1:9/")
        for one in (account, free)
    ]
    for one in (account, free):
        tell(of(send_one(one)), S.SENT, S.REJECTED)
        tell(of(send_one(one)), S.DELIVERED)
        settlement.apply([], accepted=[of(send_one(one)).pk])
        settlement.control([of(send_one(one)).pk], S.EXPIRED, Reason.TOO_LATE)
    paid, nothing, none = ("0.090000", "EUR"), ("0.000000", "EUR"), (None, None)
    for endpoint, expected in zip(endpoints, ([paid, nothing, paid, paid, nothing], [none] * 5), strict=True):
        bodies = list(endpoint.deliveries.order_by("pk").values_list("body", flat=True))
        assert not any(DIGITS in body for body in bodies)
        told = [message for body in bodies for message in orjson.loads(body)["data"]["messages"]]
        assert [(message["price"], message["currency"]) for message in told] == expected


def report_all() -> None:
    assert Message.objects.exists()
    DeliveryReport.objects.bulk_create(
        DeliveryReport(message=message, status=S.DELIVERED, source=FactSource.PUSH, price=PROVIDERS, currency="PLN")
        for message in Message.objects.all()
    )


def answers_of_the_api(client: Client) -> Iterator[tuple[str, Any]]:
    things = Things()
    assert things.message
    report_all()
    headers = of_key(things.member)
    for method, path in ROUTES:
        if method == "GET":
            yield path, ask(client, (method, path), headers, value_in(things, path))


def pages_of_the_dashboard(client: Client) -> Iterator[tuple[str, Any]]:
    world = World()
    report_all()
    client.force_login(world.account.users.earliest("pk"))
    for name, door in PAGES.items():
        if door.method == "get":
            yield name, client.get(address(name, world.things()))


@pytest.mark.parametrize("doors", [answers_of_the_api, pages_of_the_dashboard])
def test_nothing_that_a_customer_reads_names_the_providers_price(client: Client, doors: Any) -> None:
    seen = 0
    for name, answer in doors(client):
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert DIGITS not in content.decode(errors="replace"), name
        seen += answer.status_code == 200
    assert seen > 20


def test_the_operator_reads_it(admin_client: Client) -> None:
    World()
    report_all()
    report = DeliveryReport.objects.latest("pk")
    page = admin_client.get(reverse("admin:messaging_deliveryreport_change", args=[report.pk]))
    assert DIGITS in page.content.decode()
