"""Numbers an account must never text, kept as keyed hashes."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.support.factories import AccountFactory, phones
from uploads.models import OptOutEvent, Suppression
from uploads.suppressions import phone_hash, suppress, suppressed_among

pytestmark = pytest.mark.django_db


def test_suppressed_numbers_are_found_among_many_in_their_own_account_only() -> None:
    account, other = AccountFactory(), AccountFactory()
    everybody = phones(12_000)
    for phone in (everybody[0], everybody[6000], everybody[11_999]):
        suppress(account, phone, "STOP")
    assert suppressed_among(account, everybody) == {everybody[0], everybody[6000], everybody[11_999]}
    assert suppressed_among(other, everybody) == set()
    assert suppressed_among(account, everybody[1:100]) == set()


def test_an_account_without_suppressions_costs_one_query(django_assert_num_queries: Any) -> None:
    account = AccountFactory()
    with django_assert_num_queries(1):
        assert suppressed_among(account, phones(1000)) == set()


def test_suppressing_twice_keeps_the_first_reason_and_never_the_number() -> None:
    account, phone = AccountFactory(), phones(1)[0]
    suppress(account, phone, "STOP")
    suppress(account, phone, "again")
    row = Suppression.objects.get()
    assert (row.reason, row.phone_hint) == ("STOP", phone[-2:])
    assert phone[1:] not in " ".join(str(value) for value in vars(row).values())


def test_the_console_keeps_who_shut_a_number_out_and_who_let_it_in_again(admin_client: Client) -> None:
    account = AccountFactory()
    add = {"account": account.pk, "phone_number": phones(1)[0], "reason": "asked by letter"}
    admin_client.post(reverse("admin:uploads_suppression_add"), add)
    row = Suppression.objects.get()
    selected = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    admin_client.post(reverse("admin:uploads_suppression_changelist"), selected)
    assert not Suppression.objects.exists()
    left, back = OptOutEvent.objects.order_by("pk")
    assert (left.is_out, left.detail, back.is_out) == (True, "asked by letter", False)
    assert left.user
    assert left.user == back.user


def test_a_hash_depends_on_account_number_and_key(settings: Any) -> None:
    first = phone_hash(1, "+491713920012")
    assert (len(first), phone_hash(1, "+491713920012")) == (32, first)
    assert phone_hash(2, "+491713920012") != first
    assert phone_hash(1, "+491713920013") != first
    settings.OWN_KEYS = settings.OWN_KEYS | {"suppressions": ("another", "")}
    assert phone_hash(1, "+491713920012") != first
