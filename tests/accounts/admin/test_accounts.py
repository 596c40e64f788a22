"""Operators decide on senders, revoke keys and hold accounts in the console."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from accounts.access import tokens
from accounts.access.api_keys import match_api_key
from accounts.choices import SCOPES_OF, Role, Scope, SenderKind, SenderStatus
from accounts.models import Account, ApiKey, AuditEvent, SenderId, TokenFamily
from smsapp.core.exceptions import TokenInvalid
from tests.support.factories import AccountFactory, MembershipFactory, SenderIdFactory, UserFactory, make_api_key
from uploads.models import Suppression
from uploads.suppressions import suppressed_among

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def act(client: Client, row: Model, action: str, **data: str) -> str:
    url = reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_changelist")
    return client.post(url, {"action": action, "_selected_action": row.pk, **data}, follow=True).content.decode()


@pytest.mark.parametrize(("action", "status"), [("approve", SenderStatus.APPROVED), ("reject", SenderStatus.REJECTED)])
def test_sender_is_decided_on_after_a_question(admin_client: Client, action: str, status: SenderStatus) -> None:
    sender = SenderIdFactory(status=SenderStatus.PENDING, note="Show us the contract")
    assert "DemoShop" in act(admin_client, sender, action)
    sender.refresh_from_db()
    assert sender.status == SenderStatus.PENDING
    act(admin_client, sender, action, confirmed="yes")
    sender.refresh_from_db()
    assert sender.status == status
    assert sender.decided_at is not None
    assert LogEntry.objects.count() == 1


def test_new_sender_is_checked_and_waits_for_approval(admin_client: Client) -> None:
    account = AccountFactory()
    url = reverse("admin:accounts_senderid_add")
    refused = admin_client.post(url, {"account": account.pk, "value": "TwelveLetter"})
    assert "1 to 11 letters" in refused.content.decode()
    assert not SenderId.objects.exists()
    assert admin_client.post(url, {"account": account.pk, "value": "12345"}).status_code == 302
    sender = SenderId.objects.get()
    assert (sender.kind, sender.status) == (SenderKind.SHORT_CODE, SenderStatus.PENDING)


def test_revoked_key_no_longer_opens_anything(admin_client: Client) -> None:
    key, text = make_api_key()
    act(admin_client, key, "revoke")
    assert match_api_key(text).is_usable
    act(admin_client, key, "revoke", confirmed="yes")
    assert not match_api_key(text).is_usable


def test_account_can_be_held_but_not_deleted(admin_client: Client) -> None:
    account = AccountFactory()
    form: dict[str, Any] = {
        "name": account.name,
        "default_country": "DE",
        "currency": "EUR",
        "low_balance_micro": "0",
        "memberships-TOTAL_FORMS": 0,
        "memberships-INITIAL_FORMS": 0,
    }
    admin_client.post(reverse("admin:accounts_account_change", args=[account.pk]), form)
    assert Account.objects.get().is_active is False
    assert admin_client.post(reverse("admin:accounts_account_delete", args=[account.pk])).status_code == 403


def test_user_is_added_with_a_unique_email(admin_client: Client) -> None:
    UserFactory(email="anna@example.com")
    form = {"username": "anna2", "password1": "correct horse battery", "password2": "correct horse battery"}
    url = reverse("admin:accounts_user_add")
    form["usable_password"] = "true"
    assert "already exists" in admin_client.post(url, form | {"email": "anna@example.com"}).content.decode()
    assert admin_client.post(url, form | {"email": "anna2@example.com"}).status_code == 302


def test_number_is_suppressed_in_any_spelling_and_kept_as_a_hash(admin_client: Client) -> None:
    account = AccountFactory()
    url = reverse("admin:uploads_suppression_add")
    refused = admin_client.post(url, {"account": account.pk, "phone_number": "030 901820", "reason": ""})
    assert "cannot receive an SMS" in refused.content.decode()
    form = {"account": account.pk, "phone_number": "0151 12 000 001", "reason": "asked by letter"}
    for _ in range(2):
        assert admin_client.post(url, form).status_code == 302
    assert suppressed_among(account, ["+4915112000001"]) == {"+4915112000001"}
    assert Suppression.objects.get().phone_hint == "01"


def test_a_new_key_is_shown_once_and_works(admin_client):
    member = MembershipFactory()
    data = {"account": member.account.pk, "user": member.user.pk, "name": "Shop", "mode": "test"}
    page = admin_client.post("/admin/accounts/apikey/add/", data, follow=True).content.decode()
    text = re.search(r"sms_test_[A-Za-z0-9_-]+", page)
    assert text is not None
    assert match_api_key(text[0]) == ApiKey.objects.get(name="Shop")
    assert text[0] not in admin_client.get("/admin/accounts/apikey/").content.decode()


def test_a_key_is_only_for_a_member(admin_client):
    member, stranger = MembershipFactory(), MembershipFactory()
    data = {"account": member.account.pk, "user": stranger.user.pk, "name": "Shop", "mode": "live"}
    page = admin_client.post("/admin/accounts/apikey/add/", data).content.decode()
    assert "does not belong to the account" in page
    assert not ApiKey.objects.exists()


def test_the_console_shows_what_a_key_may_and_changes_none_of_it(admin_client):
    key, _ = make_api_key(scopes=[Scope.MESSAGES_SEND], allowed_networks=["203.0.113.0/24"])
    listed = admin_client.get("/admin/accounts/apikey/").content.decode()
    assert "203.0.113.0/24" in listed
    page = f"/admin/accounts/apikey/{key.pk}/change/"
    assert "messages:send" in admin_client.get(page).content.decode()
    before = ApiKey.objects.values().get()
    admin_client.post(page, {"name": "Mine", "scopes": '["keys:write"]', "allowed_networks": "[]", "rate_limit": 1})
    assert ApiKey.objects.values().get() == before


def test_a_key_made_in_the_console_never_may_more_than_its_person(admin_client):
    member = MembershipFactory(role="viewer")
    data = {"account": member.account.pk, "user": member.user.pk, "name": "Shop", "mode": "live"}
    admin_client.post("/admin/accounts/apikey/add/", data)
    assert set(ApiKey.objects.get().scopes) == SCOPES_OF[Role.VIEWER]


def test_what_operators_do_is_in_the_audit_log(admin_client, admin_user):
    member = MembershipFactory()
    data = {"account": member.account.pk, "user": member.user.pk, "name": "Shop", "mode": "live"}
    admin_client.post("/admin/accounts/apikey/add/", data)
    act(admin_client, ApiKey.objects.get(), "revoke", confirmed="yes")
    act(admin_client, SenderIdFactory(account=member.account, status=SenderStatus.PENDING), "approve", confirmed="yes")
    events = AuditEvent.objects.exclude(account=None).exclude(action__startswith="console.").order_by("pk")
    assert [(event.action, event.user, event.account) for event in events] == [
        (action, admin_user, member.account) for action in ("api_key.issued", "api_key.revoked", "sender.approved")
    ]


def test_an_operator_ends_a_sign_in(admin_client, admin_user):
    member = MembershipFactory()
    pair = tokens.sign_in(member.user)
    page = admin_client.get("/admin/accounts/tokenfamily/").content.decode()
    assert member.user.username in page
    act(admin_client, TokenFamily.objects.get(), "revoke", confirmed="yes")
    with pytest.raises(TokenInvalid):
        tokens.check_access_token(pair.access_token)
    assert AuditEvent.objects.get(action="token.revoked").user == admin_user


def test_what_an_operator_changes_is_in_the_audit_log_without_its_values(admin_client: Client) -> None:
    membership = MembershipFactory(role=Role.VIEWER)
    page = reverse("admin:accounts_membership_change", args=[membership.pk])
    data = {"account": membership.account_id, "user": membership.user_id, "role": "admin"}
    assert admin_client.post(page, data).status_code == 302
    event = AuditEvent.objects.get(action="console.membership_changed")
    assert (event.account, event.target_id, event.user.is_superuser) == (membership.account, str(membership.pk), True)
    assert event.after == {"how": [{"changed": {"fields": ["Role"]}}]}
    assert event.ip_address == "127.0.0.1"
