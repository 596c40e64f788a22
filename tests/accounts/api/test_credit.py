"""`GET /account/balance` and `/account/ledger`, and refusals for want of credit, as a customer's program sees them."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.billing import credit
from accounts.billing.prices import import_prices
from accounts.choices import Mode, Role
from accounts.models import Account, DailyUse
from campaigns import services as campaign_services
from campaigns.models import Campaign
from messaging.choices import FactSource, MessageStatus
from messaging.gateways.base import Report
from messaging.models import Message
from messaging.outcomes import billing, settlement
from messaging.outcomes.settlement import Fact
from messaging.sending.expansion import expand_ready
from tests.support.factories import AccountFactory, make_api_key, make_campaign, phones

pytestmark = [pytest.mark.django_db, pytest.mark.once]

EUR = credit.MICRO


@pytest.fixture
def account() -> Account:
    account = AccountFactory(is_metered=True, low_balance_micro=EUR)
    import_prices(["49,0.05"], None, "EUR", None)
    credit.top_up(account, 10 * EUR, "invoice 7", None)
    return account


class Caller:
    def __init__(self, client, account, mode=Mode.LIVE):
        self.client, self.key = client, make_api_key(account, mode, Role.OWNER)[1]

    def get(self, path):
        answer = self.client.get(f"/api/v1/{path}", headers={"X-API-Key": self.key})
        return answer.status_code, answer.json()["data"] or answer.json()["error"]

    def send(self, *numbers):
        answer = self.client.post(
            "/api/v1/sms/send",
            {"phone_numbers": numbers, "message": "Hello"},
            content_type="application/json",
            headers={"X-API-Key": self.key},
        )
        return answer.status_code, answer.json()["data"] or answer.json()["error"]


@pytest.fixture
def caller(client, account) -> Caller:
    return Caller(client, account)


def test_the_balance_is_the_accounts_own(caller, client):
    caller.send(*phones(3))
    assert caller.get("account/balance") == (
        200,
        {
            "metered": True,
            "balance": "9.850000",
            "reserved": "0.150000",
            "low_balance_threshold": "1.000000",
            "currency": "EUR",
        },
    )
    free = Caller(client, AccountFactory())
    assert free.get("account/balance") == (
        200,
        {"metered": False, "balance": None, "reserved": None, "low_balance_threshold": None, "currency": None},
    )


def test_without_enough_credit_nothing_is_accepted(caller, account):
    credit.correct(account, -10 * EUR + 60_000, "paid out", None)
    status, error = caller.send(*phones(2))
    assert (status, error["code"]) == (402, "INSUFFICIENT_CREDIT")
    details = {name: error["details"][name] for name in ("needed", "available", "currency")}
    assert details == {"needed": "0.100000", "available": "0.060000", "currency": "EUR"}
    assert (Campaign.objects.count(), Message.objects.count()) == (0, 0)
    assert caller.send(*phones(1))[0] == 202


def test_over_the_daily_limit_nothing_is_accepted(caller, account):
    Account.objects.update(daily_message_limit=2)
    status, error = caller.send(*phones(3))
    assert (status, error["code"]) == (402, "QUOTA_EXCEEDED")
    details = error["details"]
    assert (details["limit"], details["used"], details["requested"]) == (2, 0, 3)
    assert details["resets_at"].endswith("T00:00:00Z")
    assert not DailyUse.objects.exists()
    assert caller.send(*phones(2))[0] == 202
    assert caller.get("account/balance")[1]["reserved"] == "0.100000"


def test_a_number_without_a_price_is_refused(caller):
    status, error = caller.send("+33612345678")
    assert (status, error["code"]) == (403, "DESTINATION_BLOCKED")


def test_test_mode_costs_nothing(client, account):
    caller = Caller(client, account, Mode.TEST)
    assert caller.send("+33612345678")[0] == 202
    assert caller.get("account/balance")[1]["balance"] == "10.000000"


def charge(account: Account, count: int) -> Campaign:
    campaign = make_campaign(account, count)
    expand_ready()
    numbers = Message.objects.filter(campaign=campaign).values_list("id", flat=True)
    delivered = MessageStatus.DELIVERED
    settlement.apply([Fact(pk, delivered, FactSource.PUSH, report=Report("", delivered)) for pk in numbers])
    campaign_services.settle_status([campaign.pk], timezone.now())
    billing.settle_closed()
    return campaign


def test_the_ledger_names_every_movement(caller, account):
    campaign = charge(account, 3)
    _, page = caller.get("account/ledger")
    shown = [{name: row[name] for name in row if name not in ("entry_id", "created_at")} for row in page["results"]]
    assert shown == [
        {
            "kind": "charge",
            "amount": "-0.150000",
            "credit_after": "9.850000",
            "currency": "EUR",
            "bulk_id": campaign.bulk_id,
            "note": "3 segments",
        },
        {
            "kind": "top_up",
            "amount": "10.000000",
            "credit_after": "10.000000",
            "currency": "EUR",
            "bulk_id": None,
            "note": "invoice 7",
        },
    ]


def test_the_ledger_is_filtered(caller, account):
    first, second = charge(account, 1), charge(account, 2)

    def amounts(query: str) -> list[str]:
        status, page = caller.get(f"account/ledger?{query}")
        assert status == 200, page
        return [row["amount"] for row in page["results"]]

    assert amounts("kind=top_up") == ["10.000000"]
    assert amounts(f"bulk_id={first.bulk_id}") == ["-0.050000"]
    assert amounts(f"bulk_id={second.bulk_id}&kind=top_up") == amounts("bulk_id=none") == []
    assert amounts("created_before=2020-01-01T00:00:00Z") == []
    assert len(amounts("created_after=2020-01-01T00:00:00Z")) == 3
    assert len(amounts("limit=2")) == 2


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("kind=reserve", "kind"),
        ("kind=x", "kind"),
        ("created_after=soon", "created_after"),
        ("limit=0", "limit"),
        ("limit=1e9", "limit"),
        ("cursor=forged", "cursor"),
        ("account=1", "account"),
    ],
)
def test_a_wrong_query_is_named(caller, query, field):
    status, error = caller.get(f"account/ledger?{query}")
    assert (status, error["details"]["field"]) == (400, field)


def test_odd_ids_find_nothing(caller):
    for odd in ("%00", "%ED%A0%80", "x" * 5000, "9" * 40):
        status, page = caller.get(f"account/ledger?bulk_id={odd}")
        assert (status, page["results"] if status == 200 else None) in ((200, []), (400, None))


def test_another_accounts_ledger_is_not_seen(caller, client, account):
    campaign = charge(account, 1)
    stranger = Caller(client, AccountFactory(is_metered=True))
    assert stranger.get("account/ledger")[1]["results"] == []
    assert stranger.get(f"account/ledger?bulk_id={campaign.bulk_id}")[1]["results"] == []


def test_a_page_asks_as_often_whatever_is_on_it(caller, account):
    counts = []
    for _ in range(2):
        charge(account, 1)
        caller.get("account/ledger")
        with CaptureQueriesContext(connection) as queries:
            caller.get("account/ledger")
        counts.append(len(queries))
        for _ in range(5):
            charge(account, 1)
    assert counts[0] == counts[1]
