"""Senders: asked for by an account, decided on by an operator."""

import pytest

from accounts.choices import SenderKind, SenderStatus
from accounts.models import AuditEvent, SenderId
from accounts.senders import MAX_WAITING, approve_sender, reject_sender, request_sender, require_sender, withdraw_sender
from accounts.suspension import reinstate_account, suspend_account
from smsapp.core.exceptions import InvalidState, NotFound, SenderNotAllowed, ValidationError
from tests.support.factories import AccountFactory, MembershipFactory, UserFactory
from tests.support.together import run_together

pytestmark = pytest.mark.django_db


@pytest.fixture
def member():
    return MembershipFactory()


def test_a_sender_is_used_only_once_it_is_approved(member):
    sender, is_new = request_sender(member.account, "YourBrand", member.user)
    assert (is_new, sender.status, sender.kind) == (True, SenderStatus.PENDING, SenderKind.ALPHANUMERIC)
    with pytest.raises(SenderNotAllowed):
        require_sender(member.account, "YourBrand")
    approve_sender(sender, UserFactory())
    require_sender(member.account, "YourBrand")
    with pytest.raises(SenderNotAllowed):
        require_sender(AccountFactory(), "YourBrand")
    reject_sender(sender, UserFactory(), "Contract ended")
    with pytest.raises(SenderNotAllowed):
        require_sender(member.account, "YourBrand")


def test_asking_twice_is_asking_once_and_keeps_the_decision(member):
    sender, _ = request_sender(member.account, "YourBrand", member.user)
    reject_sender(sender, UserFactory(), "No")
    again, is_new = request_sender(member.account, "YourBrand", member.user)
    assert (again, again.status, is_new) == (sender, SenderStatus.REJECTED, False)
    assert AuditEvent.objects.filter(action="sender.requested").count() == 1


@pytest.mark.parametrize(
    "value", ["", "TwelveLetter", "12", "123456789", "+0123456", "Marke®", "a\nb", "a\r\n", " ", "1 2", "☎", "x\x00"]
)
def test_what_a_handset_cannot_show_is_no_sender(member, value):
    with pytest.raises(ValidationError):
        request_sender(member.account, value, member.user)
    assert not SenderId.objects.exists()


def test_so_many_requests_wait_at_most(member):
    for n in range(MAX_WAITING):
        request_sender(member.account, f"Brand {n}", member.user)
    with pytest.raises(InvalidState):
        request_sender(member.account, "One more", member.user)
    request_sender(member.account, "Brand 1", member.user)
    approve_sender(SenderId.objects.get(value="Brand 1"), UserFactory())
    request_sender(member.account, "One more", member.user)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_requests_at_once_are_one_request_and_keep_the_limit():
    member = MembershipFactory()
    run_together(*[lambda: request_sender(member.account, "YourBrand", member.user)] * 4)
    assert SenderId.objects.count() == 1
    for n in range(MAX_WAITING - 2):
        request_sender(member.account, f"Brand {n}", member.user)
    refused = []

    def ask(value):
        try:
            request_sender(member.account, value, member.user)
        except InvalidState:
            refused.append(value)

    run_together(*[lambda n=n: ask(f"More {n}") for n in range(4)])
    assert len(refused) == 3
    assert SenderId.objects.count() == MAX_WAITING


def test_only_what_waits_can_be_taken_back_and_only_ones_own(member):
    sender, _ = request_sender(member.account, "YourBrand", member.user)
    with pytest.raises(NotFound):
        withdraw_sender(AccountFactory(), sender.pk, member.user)
    approve_sender(sender, UserFactory())
    with pytest.raises(InvalidState):
        withdraw_sender(member.account, sender.pk, member.user)
    other, _ = request_sender(member.account, "Other", member.user)
    withdraw_sender(member.account, other.pk, member.user)
    assert SenderId.objects.get() == sender


def test_requests_and_decisions_are_in_the_audit_log(member):
    operator = UserFactory()
    sender, _ = request_sender(member.account, "YourBrand", member.user)
    reject_sender(sender, operator, "Show us the contract")
    approve_sender(sender, operator)
    other, _ = request_sender(member.account, "Other", member.user)
    withdraw_sender(member.account, other.pk, member.user)
    suspend_account(member.account, operator)
    reinstate_account(member.account, operator)
    assert list(AuditEvent.objects.order_by("pk").values_list("action", "user", "target_id")) == [
        ("sender.requested", member.user.pk, "YourBrand"),
        ("sender.rejected", operator.pk, "YourBrand"),
        ("sender.approved", operator.pk, "YourBrand"),
        ("sender.requested", member.user.pk, "Other"),
        ("sender.withdrawn", member.user.pk, "Other"),
        ("account.held", operator.pk, str(member.account.pk)),
        ("account.released", operator.pk, str(member.account.pk)),
    ]
    decision = AuditEvent.objects.get(action="sender.rejected")
    assert decision.before == {"status": "pending"}
    assert decision.after == {"status": "rejected", "note": "Show us the contract"}
