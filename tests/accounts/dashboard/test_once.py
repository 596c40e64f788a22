"""A form of the dashboard is carried out once, however often it is sent."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import reverse

from accounts.dashboard import once
from accounts.models import Account, ApiKey, User
from campaigns.models import Campaign
from messaging.choices import MessageStatus
from messaging.models import Message
from tests.support.builders import make_batch
from tests.support.factories import AccountFactory, MembershipFactory, make_campaign, make_upload, phones
from tests.support.pages import Browser

pytestmark = pytest.mark.django_db
FORM = {"phone_numbers": "0151 12345678", "sender_id": "", "message": "Hello", "when": "now", "zone": "UTC"}


@pytest.fixture
def account() -> Account:
    return AccountFactory(default_country="DE")


@pytest.fixture
def member(client: Browser, account: Account) -> Browser:
    client.force_login(MembershipFactory(account=account).user)
    return client


def hidden_in(page: HttpResponse) -> dict[str, str]:
    """The hidden fields of the first form of the page's own: the header has one, too, for signing out."""
    main = re.search(r"<main.*</main>", page.content.decode(), re.DOTALL)
    form = re.search(r"<form.*?</form>", main[0], re.DOTALL) if main else None
    assert form, page.content.decode()
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0])
    return {name: unescape(value) for name, value in hidden}


def token_of(client: Browser, address: str) -> dict[str, str]:
    return {"once": hidden_in(client.get(address))["once"]}


def test_a_send_that_comes_again_is_sent_once_and_leads_to_the_first(member: Browser) -> None:
    form = FORM | token_of(member, reverse("send"))
    first = member.post(reverse("send"), form)
    again = member.post(reverse("send"), form, follow=True)
    assert Message.objects.count() == 1
    assert again.redirect_chain[0][0] == first["Location"]
    assert "Nothing was repeated" in again.content.decode()


def test_another_number_under_the_same_token_is_another_message(member: Browser) -> None:
    token = token_of(member, reverse("send"))
    member.post(reverse("send"), FORM | token)
    member.post(reverse("send"), FORM | token | {"phone_numbers": "0151 12345679"})
    assert Message.objects.count() == 2


def test_every_page_has_a_token_of_its_own(member: Browser) -> None:
    assert token_of(member, reverse("send")) != token_of(member, reverse("send"))
    for _ in range(2):
        member.post(reverse("send"), FORM | token_of(member, reverse("send")))
    assert Message.objects.count() == 2


def test_what_was_refused_can_be_sent_again(member: Browser) -> None:
    token = token_of(member, reverse("send"))
    assert member.post(reverse("send"), FORM | token | {"message": ""}).status_code == 200
    assert member.post(reverse("send"), FORM | token).status_code == 302


def test_a_token_counts_for_one_person_only(client: Browser, account: Account) -> None:
    token = {"once": "0" * 32}
    for _ in range(2):
        client.force_login(MembershipFactory(account=account).user)
        client.post(reverse("send"), FORM | token)
    assert Message.objects.count() == 2


def test_who_comes_back_and_writes_another_text_changes_the_draft(member: Browser, account: Account) -> None:
    upload = make_upload(account, [(phone,) for phone in phones(2)], ["phone"])
    page = reverse("wizard-text-of-upload", args=[upload.upload_id])
    values = {"name": "Sale", "message": "Hello", "sender_id": ""} | token_of(member, page)
    first = member.post(page, values)
    assert member.post(page, values)["Location"] == first["Location"]
    assert member.post(page, values | {"message": "Hello again"})["Location"] == first["Location"]
    assert [draft.message for draft in Campaign.objects.all()] == ["Hello again"]


def test_a_key_is_made_once_though_its_page_is_reloaded(member: Browser) -> None:
    form: dict[str, Any] = {"name": "Shop", "mode": "test", "scopes": ["messages:send"], "allowed_networks": ""}
    form |= token_of(member, reverse("key-new"))
    answer = member.post(reverse("key-new"), form)
    assert "sms_test_" in answer.content.decode()
    again = member.post(reverse("key-new"), form)
    assert again["Location"] == reverse("developers")
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("name", ["campaign-clone", "campaign-resend"])
def test_a_copy_and_a_resend_are_made_once(member: Browser, account: Account, name: str) -> None:
    campaign = make_campaign(account)
    make_batch(campaign, [MessageStatus.UNDELIVERED])
    Campaign.objects.filter(pk=campaign.pk).update(status="completed", undelivered=1)
    form = {"once": "a" * 32}
    address = reverse(name, args=[campaign.bulk_id])
    first = member.post(address, form)
    again = member.post(address, form)
    assert first["Location"] == again["Location"] != reverse("campaign-detail", args=[campaign.bulk_id])
    assert Campaign.objects.count() == 2


def test_a_refusal_that_redirects_can_be_tried_again(member: Browser, account: Account) -> None:
    campaign = make_campaign(account)
    form, address = {"once": "b" * 32}, reverse("campaign-resend", args=[campaign.bulk_id])
    assert "nothing was done" not in member.post(address, form, follow=True).content.decode()
    assert "nothing was done" not in member.post(address, form, follow=True).content.decode()


def test_confirming_in_a_second_tab_says_what_has_happened(member: Browser, account: Account) -> None:
    campaign = make_campaign(account, name="Sale")
    for address in ("wizard-review", "wizard-text", "wizard-when"):
        answer = member.post(reverse(address, args=[campaign.bulk_id]), follow=True)
        assert answer.redirect_chain[-1][0] == reverse("campaign-detail", args=[campaign.bulk_id])
        assert "no longer a draft" in answer.content.decode()


def test_what_was_written_into_a_draft_that_is_none_any_more_is_given_back(member: Browser, account: Account) -> None:
    campaign = make_campaign(account, name="Sale")
    values = {"name": "Sale", "message": "Long & carefully written", "sender_id": ""}
    answer = member.post(reverse("wizard-text", args=[campaign.bulk_id]), values)
    assert answer.status_code == 409
    page = answer.content.decode()
    assert "no longer a draft" in page
    assert "Long &amp; carefully written</textarea>" in page
    assert f'href="{reverse("campaign-detail", args=[campaign.bulk_id])}"' in page


def test_an_unknown_outcome_keeps_what_was_written_and_the_same_form_finds_it_out(
    member: Browser, settings: Any
) -> None:
    settings.ENCRYPTION_KEYS = ["of-the-first-process" * 2]
    form = FORM | hidden_in(member.get(reverse("send"))) | {"message": "Two lines\r\n& a sign"}
    first = member.post(reverse("send"), form)
    settings.ENCRYPTION_KEYS = ["of-another-process" * 2]
    unknown = member.post(reverse("send"), form)
    assert unknown.status_code == 503
    assert int(unknown["Retry-After"]) > 0
    assert "a sign</textarea>" in unknown.content.decode()
    settings.ENCRYPTION_KEYS = ["of-the-first-process" * 2]
    assert member.post(reverse("send"), hidden_in(unknown))["Location"] == first["Location"]
    assert Message.objects.count() == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_form_in_progress_keeps_what_was_written_and_can_be_sent_again(member: Browser, account: Account) -> None:
    form = FORM | hidden_in(member.get(reverse("send")))
    with another_call(member, account, form):
        answer = member.post(reverse("send"), form)
    assert answer.status_code == 409
    assert "already being processed" in answer.content.decode()
    assert ">Hello</textarea>" in answer.content.decode()
    assert member.post(reverse("send"), hidden_in(answer)).status_code == 302
    assert Message.objects.count() == 1


@contextmanager
def another_call(member: Browser, account: Account, form: dict[str, str]) -> Iterator[None]:
    """The same form is under way in a transaction of its own, which is rolled back at the end."""
    request: Any = RequestFactory().post(reverse("send"), form)
    request.user = User.objects.get(pk=member.session["_auth_user_id"])
    first = connection.copy()
    try:
        first.set_autocommit(False)
        with first.cursor() as cursor:
            cursor.execute(
                "INSERT INTO accounts_idempotencykey (account_id, mode, key, fingerprint, body, request_id, created_at)"
                " VALUES (%s, 'live', %s, '', '', '', '2026-01-01 00:00:00+00')",
                [account.pk, once._key(request, form["once"])],
            )
        yield
    finally:
        first.rollback()
        first.close()
