"""Prepaid credit and daily limits by themselves: exact however many want them at once."""

from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from accounts.billing import credit, quota
from accounts.choices import EndpointKind, LedgerKind, Mode
from accounts.models import Account, AuditEvent, DailyUse, LedgerEntry, WebhookDelivery, WebhookEndpoint
from smsapp.core.exceptions import AlreadyExists, InsufficientCredit, QuotaExceeded, ValidationError
from tests.support.factories import AccountFactory, MembershipFactory
from tests.support.together import patiently, run_together

pytestmark = pytest.mark.django_db

EUR = credit.MICRO
WORKERS = 16 if connection.vendor == "postgresql" else 4
OFFERS = 25  # of each


def funds(account: Account) -> tuple[int, int]:
    account.refresh_from_db()
    return account.balance_micro, account.reserved_micro


def rich(amount: int, **options) -> Account:
    account = AccountFactory(is_metered=True, **options)
    credit.top_up(account, amount, "for the test", None)
    return account


def test_what_is_reserved_cannot_be_reserved_again():
    account = rich(10 * EUR)
    credit.reserve(account, 7 * EUR)
    with pytest.raises(InsufficientCredit) as refused:
        credit.reserve(account, 4 * EUR)
    assert refused.value.http_status == 402
    assert refused.value.details == {"needed": "4.000000", "available": "3.000000", "currency": "EUR"}
    assert funds(account) == (3 * EUR, 7 * EUR)
    credit.give_back(account.pk, 7 * EUR)
    assert funds(account) == (10 * EUR, 0)


def test_each_entry_says_what_the_credit_was_after_it():
    account = rich(10 * EUR)
    credit.reserve(account, 5 * EUR)
    charged = [credit.Charge(2 * EUR, 2 * EUR, "2 segments"), credit.Charge(-EUR, 0, "1 segment")]
    credit.post(account.pk, charged)
    credit.correct(account, -3 * EUR, "paid out", None)
    entries = LedgerEntry.objects.order_by("pk").values_list("kind", "amount_micro", "balance_micro")
    assert list(entries) == [
        (LedgerKind.TOP_UP, 10 * EUR, 10 * EUR),
        (LedgerKind.CHARGE, -2 * EUR, 8 * EUR),
        (LedgerKind.REFUND, EUR, 9 * EUR),
        (LedgerKind.CORRECTION, -3 * EUR, 6 * EUR),
    ]
    assert funds(account) == (3 * EUR, 3 * EUR)


@pytest.mark.parametrize(
    ("act", "amount", "reason", "field"),
    [
        (credit.top_up, 0, "gift", "amount"),
        (credit.top_up, -1, "gift", "amount"),
        (credit.top_up, EUR, " ", "reason"),
        (credit.top_up, 1_000_000 * EUR + 1, "gift", "amount"),
        (credit.correct, 0, "gift", "amount"),
        (credit.correct, -11 * EUR, "too much", "amount"),
        (credit.correct, EUR, "", "reason"),
    ],
)
def test_a_top_up_or_correction_that_makes_no_sense_changes_nothing(act, amount, reason, field):
    account = rich(10 * EUR)
    with pytest.raises(ValidationError) as refused:
        act(account, amount, reason, None)
    assert refused.value.details["field"] == field
    assert funds(account) == (10 * EUR, 0)
    assert LedgerEntry.objects.count() == 1


@pytest.mark.parametrize("act", [credit.top_up, credit.correct])
def test_with_the_same_token_it_is_booked_once(act):
    account = rich(10 * EUR)
    act(account, EUR, "gift", None, "a" * 32)
    for amount in (EUR, 2 * EUR):
        with pytest.raises(AlreadyExists):
            act(account, amount, "gift", None, "a" * 32)
    act(account, EUR, "gift", None, "b" * 32)
    act(account, EUR, "gift", None)
    act(account, EUR, "gift", None)
    assert funds(account) == (14 * EUR, 0)


@pytest.mark.django_db(transaction=True)
def test_many_who_send_one_token_at_once_book_once():
    account = rich(10 * EUR)

    booked = []

    def book() -> None:
        with suppress(AlreadyExists):
            patiently(lambda: booked.append(credit.top_up(account, EUR, "gift", None, "c" * 32)))

    run_together(*[book] * WORKERS)
    assert len(booked) == 1
    assert funds(account) == (11 * EUR, 0)


def test_a_refund_belongs_to_a_charge_and_is_no_more_than_it():
    account = rich(10 * EUR)
    credit.post(account.pk, [credit.Charge(4 * EUR, 0, "4 segments", campaign_id=7)])
    charge = LedgerEntry.objects.get(kind=LedgerKind.CHARGE)
    part = credit.refund(charge, EUR, "half was late", None)
    assert (part.refund_of, part.campaign_id, part.kind, part.amount_micro) == (charge, 7, LedgerKind.REFUND, EUR)
    for amount in (3 * EUR + 1, 0, -EUR):
        with pytest.raises(ValidationError):
            credit.refund(charge, amount, "more", None)
    credit.refund(charge, 3 * EUR, "the rest", None)
    assert credit.refundable(charge) == 0
    for entry in LedgerEntry.objects.exclude(pk=charge.pk):
        with pytest.raises(ValidationError):
            credit.refund(entry, 1, "no charge", None)
    assert funds(account) == (10 * EUR, 0)
    event = AuditEvent.objects.filter(action="credit.refund").order_by("pk")[0]
    assert (event.after["charge"], event.after["reason"]) == (str(charge.pk), "half was late")


def test_a_top_up_is_in_the_audit_log_with_who_and_why():
    account = rich(10 * EUR)
    by = MembershipFactory(account=account).user
    credit.top_up(account, EUR, "invoice 7", by)
    event = AuditEvent.objects.get(action="credit.top_up", user=by)
    assert (event.before, event.after) == (
        {"balance": "10.000000"},
        {"balance": "11.000000", "reason": "invoice 7"},
    )


def test_a_low_balance_is_told_once_each_time_it_is_crossed():
    account = rich(10 * EUR, low_balance_micro=5 * EUR)
    WebhookEndpoint.objects.create(
        account=account,
        kind=EndpointKind.ENDPOINT,
        mode=Mode.LIVE,
        url="https://example.com/",
        endpoint_id="x",
        event_types=["balance.low"],
    )
    told = []
    for reserve in (5, 1, 1, -3, 4):
        (credit.reserve(account, reserve * EUR) if reserve > 0 else credit.give_back(account.pk, -reserve * EUR))
        told.append(WebhookDelivery.objects.count())
    assert told == [0, 1, 1, 1, 2]


@pytest.mark.django_db(transaction=True)
def test_reserving_at_once_gives_exactly_what_there_is():
    account = rich(100)
    taken: list[int] = []

    def take() -> None:
        for _ in range(OFFERS):
            try:
                patiently(partial(credit.reserve, account, 3))
                taken.append(3)
            except InsufficientCredit:
                pass

    run_together(*[take] * WORKERS)
    assert len(taken) == 33
    assert funds(account) == (1, 99)


@pytest.mark.django_db(transaction=True)
def test_a_daily_limit_is_exact_however_many_ask_at_once():
    account = AccountFactory(daily_message_limit=50)
    taken: list[int] = []

    def take() -> None:
        for _ in range(OFFERS):
            try:
                patiently(partial(quota.count, account, 3))
                taken.append(3)
            except QuotaExceeded:
                pass

    run_together(*[take] * WORKERS)
    assert sum(taken) == DailyUse.objects.get().message_count == 48


def test_a_limit_says_what_is_used_and_when_it_begins_again():
    account = AccountFactory(daily_message_limit=5)
    day = quota.count(account, 4)
    for messages in (2, 6):
        with pytest.raises(QuotaExceeded) as refused:
            quota.count(account, messages)
        details = refused.value.details
        assert (details["limit"], details["used"], details["requested"]) == (5, 4, messages)
        assert details["resets_at"] == f"{timezone.now().date() + timedelta(days=1)}T00:00:00Z"
    quota.give_back(account.pk, day, 4)
    assert quota.count(account, 5) == day


def test_without_a_limit_nothing_is_asked(django_assert_num_queries):
    account = AccountFactory()
    with django_assert_num_queries(0):
        assert quota.count(account, 1_000_000) is None
