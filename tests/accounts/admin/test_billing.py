"""Operators keep prices and credit in the console: through services, with a reason, and never half."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.billing import credit
from accounts.models import Account, AuditEvent, LedgerEntry, Price
from tests.support.factories import AccountFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.once]

EUR = credit.MICRO


@pytest.fixture
def account() -> Account:
    return AccountFactory(is_metered=True, currency="EUR")


def post(client: Client, name: str, data: dict, *args: int) -> str:
    return client.post(reverse(f"admin:accounts_{name}", args=args), data, follow=True).content.decode()


TOKEN = re.compile(r'name="token" value="([0-9a-f]{32})"')


def form_of(client: Client, name: str, pk: int) -> dict[str, str]:
    """What the page gives along: its token."""
    token = TOKEN.search(client.get(reverse(f"admin:accounts_{name}", args=[pk])).content.decode())
    assert token
    return {"token": token[1]}


def book(client: Client, pk: int, data: dict, name: str = "account_credit") -> str:
    """Fill in, look, confirm."""
    data = form_of(client, name, pk) | data
    post(client, name, data, pk)
    return post(client, name, data | {"confirmed": "yes"}, pk)


@pytest.mark.parametrize(
    ("kind", "amount", "balance"), [("top_up", "12.34", 12_340_000), ("correct", "-0.000001", 9_999_999)]
)
def test_credit_is_changed_with_a_reason(admin_client, account, kind, amount, balance):
    credit.top_up(account, 10 * EUR, "before", None)
    data = {"kind": kind, "amount": amount, "reason": "invoice 7"}
    assert "invoice 7" not in book(admin_client, account.pk, data | {"reason": " "})
    assert LedgerEntry.objects.count() == 1
    book(admin_client, account.pk, data)
    account.refresh_from_db()
    assert account.balance_micro == balance + (10 * EUR if kind == "top_up" else 0)
    entry = LedgerEntry.objects.order_by("-pk")[0]
    assert (entry.note, entry.user.username) == ("invoice 7", "admin")
    assert AuditEvent.objects.filter(user=entry.user, action__startswith="credit.").count() == 1


@pytest.mark.parametrize(
    ("kind", "amount"),
    [
        ("top_up", "-1"),
        ("top_up", "0"),
        ("correct", "-1"),
        ("correct", "NaN"),
        ("top_up", "1000000.01"),
        ("top_up", "9999999999"),
    ],
)
def test_what_makes_no_sense_is_said_on_the_form(admin_client, account, kind, amount):
    page = book(admin_client, account.pk, {"kind": kind, "amount": amount, "reason": "x"})
    assert 'class="errorlist"' in page
    assert not LedgerEntry.objects.exists()


def test_nothing_is_booked_before_it_was_shown_and_confirmed(admin_client, account):
    data = form_of(admin_client, "account_credit", account.pk) | {"kind": "top_up", "amount": "20", "reason": "gift"}
    page = post(admin_client, "account_credit", data, account.pk)
    assert "the credit goes from 0.000000 to 20.000000" in page
    assert 'name="confirmed"' in page
    assert not LedgerEntry.objects.exists()


def test_what_is_sent_twice_is_booked_once(admin_client, account):
    data = form_of(admin_client, "account_credit", account.pk)
    data |= {"kind": "top_up", "amount": "20", "reason": "gift", "confirmed": "yes"}
    post(admin_client, "account_credit", data, account.pk)
    assert "not booked again" in post(admin_client, "account_credit", data, account.pk)
    assert "not booked again" in post(admin_client, "account_credit", data | {"amount": "30"}, account.pk)
    assert LedgerEntry.objects.get().amount_micro == 20 * EUR
    without = {key: value for key, value in data.items() if key != "token"}
    post(admin_client, "account_credit", without, account.pk)
    assert LedgerEntry.objects.count() == 1


def test_a_charge_is_given_back_from_its_entry(admin_client, account):
    credit.post(account.pk, [credit.Charge(4 * EUR, 0, "4 segments")])
    charge = LedgerEntry.objects.get()
    page = admin_client.get(reverse("admin:accounts_ledgerentry_change", args=[charge.pk])).content.decode()
    assert reverse("admin:accounts_ledgerentry_refund", args=[charge.pk]) in page
    assert 'class="errorlist"' in book(admin_client, charge.pk, {"amount": "5", "reason": "x"}, "ledgerentry_refund")
    book(admin_client, charge.pk, {"amount": "3", "reason": "late"}, "ledgerentry_refund")
    refund = charge.refunds.get()
    assert (refund.amount_micro, refund.note) == (3 * EUR, "late")
    address = reverse("admin:accounts_ledgerentry_refund", args=[refund.pk])
    assert admin_client.get(address).status_code == 403


def test_who_may_not_change_accounts_gives_nothing_back(client, account):
    credit.post(account.pk, [credit.Charge(4 * EUR, 0, "4 segments")])
    person = UserFactory(is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename="view_ledgerentry"))
    client.force_login(person)
    address = reverse("admin:accounts_ledgerentry_refund", args=[LedgerEntry.objects.get().pk])
    assert (
        client.post(address, {"amount": "1", "reason": "x", "token": "a" * 32, "confirmed": "yes"}).status_code == 403
    )


def test_saving_an_account_does_not_touch_credit_that_moves_meanwhile(admin_client, account, monkeypatch):
    url = reverse("admin:accounts_account_change", args=[account.pk])
    data = {
        "name": "New name",
        "default_country": "DE",
        "is_active": "on",
        "is_metered": "on",
        "currency": "EUR",
        "low_balance_micro": "5.5",
        "daily_message_limit": "100",
        "approval_above": "",
        "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0",
    }
    clean = Account.full_clean

    def clean_and_top_up(row, *arguments, **options) -> None:
        credit.top_up(account, EUR, "meanwhile", None)
        clean(row, *arguments, **options)

    monkeypatch.setattr(Account, "full_clean", clean_and_top_up)
    assert admin_client.post(url, data).status_code == 302
    account.refresh_from_db()
    assert (account.name, account.balance_micro, account.low_balance_micro) == ("New name", EUR, 5_500_000)
    event = AuditEvent.objects.get(action="account.changed")
    assert event.after["daily_message_limit"] == "100"
    assert "5.500000" in admin_client.get(url).content.decode()
    assert 'class="errorlist' in admin_client.post(url, data | {"currency": "USD"}).content.decode()


def test_the_ledger_is_only_read(admin_client, account):
    credit.top_up(account, EUR, "gift", None)
    entry = LedgerEntry.objects.get()
    page = admin_client.get(reverse("admin:accounts_ledgerentry_changelist")).content.decode()
    assert "+1.000000 EUR" in page
    assert admin_client.get(reverse("admin:accounts_ledgerentry_add")).status_code == 403
    assert admin_client.post(reverse("admin:accounts_ledgerentry_delete", args=[entry.pk])).status_code == 403


def test_a_price_is_made_changed_and_removed(admin_client):
    post(admin_client, "price_add", {"account": "", "prefix": "+49", "currency": "EUR", "price_micro": "0.075"})
    price = Price.objects.get()
    assert (price.prefix, price.price_micro) == ("49", 75_000)
    again = {"account": "", "prefix": "49", "currency": "EUR", "price_micro": "0.08"}
    assert 'class="errorlist' in post(admin_client, "price_add", again)
    data = {"account": "", "prefix": "49", "currency": "EUR", "price_micro": "0.08"}
    post(admin_client, "price_change", data, price.pk)
    price.refresh_from_db()
    assert price.price_micro == 80_000
    post(admin_client, "price_delete", {"post": "yes"}, price.pk)
    assert not Price.objects.exists()
    changes = AuditEvent.objects.filter(action__startswith="price.").order_by("pk")
    assert [(event.action, event.before.get("price"), event.after.get("price")) for event in changes] == [
        ("price.changed", None, "0.075000"),
        ("price.changed", "0.075000", "0.080000"),
        ("price.removed", "0.080000", None),
    ]


def test_a_file_is_imported_as_a_whole_or_its_wrong_rows_are_named(admin_client, account):
    def send(content: bytes) -> str:
        file = SimpleUploadedFile("prices.csv", content)
        return post(admin_client, "price_import", {"file": file, "account": account.pk, "currency": "EUR"})

    assert "The price must be" in send(b"prefix,price\n49,0.07\n43,free\n")
    assert "cannot be read" in send(b"49,0.07\n\xff\xfe,1\n")
    assert not Price.objects.exists()
    assert "2 prices set." in send(b"\xef\xbb\xbfprefix,price\r\n49,0.07\r\n43,0.1\r\n")
    assert set(Price.objects.values_list("account", "prefix", "price_micro")) == {
        (account.pk, "49", 70_000),
        (account.pk, "43", 100_000),
    }
