"""What is due is what the provider took, at the price of each number."""

import pytest

from accounts.billing import credit
from accounts.models import Account, LedgerEntry
from messaging.choices import MessageStatus
from tests.chaos.money import CREDIT, due_by_ledger, due_for, meter, unbalanced
from tests.chaos.oracle import Entry, Row
from tests.support.factories import MembershipFactory

S = MessageStatus
HERE = Row(1024, "a", 1, "49151", S.DELIVERED, "", segments=2)
ABROAD = Row(1025, "b", 1, "44790", S.SENT, "")
DUE = 2 * 70_000 + 50_000


def test_a_message_costs_its_segments_at_the_price_of_its_number():
    assert due_for([HERE, ABROAD]) == DUE
    assert due_for([HERE._replace(status=S.REJECTED), ABROAD._replace(status=S.UNCONFIRMED)]) == 0


def test_of_what_the_provider_took_all_is_due_but_what_is_unconfirmed():
    entries = [Entry("a", "49151", "delivered", 1, segments=2), Entry("b", "44790", "silent", 1)]
    refused = Entry("c", "44791", "rejected", 0)
    assert due_by_ledger([HERE, ABROAD], [*entries, refused]) == DUE
    assert due_by_ledger([HERE, ABROAD._replace(status=S.UNCONFIRMED)], entries) == 140_000


def test_what_the_provider_refused_after_it_took_it_is_free_unless_it_is_delivered():
    entries = [Entry("a", "49151", "undelivered", 1, segments=2)]
    for status, due in ((S.UNDELIVERED, 0), (S.DELIVERED, 140_000)):
        row = HERE._replace(status=status, is_refused=True)
        assert due_for([row]) == due_by_ledger([row], entries) == due


@pytest.fixture
def account(db: None) -> Account:
    account = MembershipFactory().account
    meter(account.name)
    return account


def test_books_that_agree_are_in_order(account):
    assert unbalanced([], []) == []
    assert account.ledger.get().amount_micro == CREDIT


def test_what_was_not_charged_is_found(account):
    assert {finding.text for finding in unbalanced([HERE], [Entry("a", "49151", "delivered", 1, segments=2)])} == {
        f"account {account.pk}, spent counts 0 by its messages and has 140000",
        f"account {account.pk}, spent counts 0 by the provider's ledger and has 140000",
    }


def test_what_stays_reserved_or_does_not_add_up_is_found(account):
    credit.reserve(account, 5)
    assert any("counts 5 reserved" in finding.text for finding in unbalanced([], []))
    LedgerEntry.objects.update(balance_micro=1)
    assert any("says 1, the sum is" in finding.text for finding in unbalanced([], []))


def test_less_than_nothing_is_found(account):
    Account.objects.filter(pk=account.pk).update(reserved_micro=-1)
    assert any("-1 are reserved" in finding.text for finding in unbalanced([], []))
