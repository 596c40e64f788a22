"""Signing in and out of the dashboard, and the accounts a person may look at."""

from typing import Any

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from accounts.dashboard.workspace import site_url
from tests.support.factories import MembershipFactory, UserFactory, make_campaign

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PASSWORD = "correct horse battery"


def sign_in(client: Client, username: str, password: str = PASSWORD, **data: str) -> Any:
    return client.post(reverse("sign-in"), {"username": username, "password": password, **data})


def test_member_signs_in_and_lands_on_the_campaigns(client: Client) -> None:
    membership = MembershipFactory()
    response = sign_in(client, membership.user.username)
    assert response.status_code == 302
    assert response["Location"] == reverse("overview")
    assert membership.account.name in client.get("/", follow=True).content.decode()


@pytest.mark.parametrize("page", ["sign-in", "admin:login"])
def test_the_e_mail_address_is_as_good_as_the_name(client: Client, page: str) -> None:
    user = MembershipFactory(user__is_staff=True).user
    assert client.post(reverse(page), {"username": user.email.upper(), "password": PASSWORD}).status_code == 302
    assert client.get("/", follow=True).context["user"] == user


def test_failures_by_name_and_by_address_are_counted_together(client: Client) -> None:
    user = MembershipFactory().user
    for n in range(10):
        sign_in(client, user.username if n % 2 else user.email, "wrong")
    assert sign_in(client, user.username).status_code == 429


def test_after_signing_in_one_gets_the_page_one_asked_for(client: Client) -> None:
    campaign = make_campaign()
    page = reverse("campaign-detail", args=[campaign.bulk_id])
    to_sign_in = client.get(page)
    assert to_sign_in.status_code == 302
    assert sign_in(client, campaign.user.username, next=page)["Location"] == page


def test_wrong_password_is_told_and_does_not_sign_in(client: Client) -> None:
    membership = MembershipFactory()
    response = sign_in(client, membership.user.username, "wrong")
    assert response.status_code == 200
    assert "correct username and password" in response.content.decode()
    assert client.get("/").status_code == 302


def test_tenth_wrong_password_locks_even_the_right_one_out(client: Client) -> None:
    membership = MembershipFactory()
    for _ in range(10):
        response = sign_in(client, membership.user.username, "wrong")
    assert response.status_code == 429
    assert "Too many failed sign-ins" in response.content.decode()
    assert sign_in(client, membership.user.username).status_code == 429


@pytest.mark.parametrize(
    "password",
    ["123456789012", "111111111111", "918273645546", "abcdefghijklm", "abababababab", "Aaaaaaaaaaaa", "short1!"],
)
def test_a_password_that_is_easy_to_guess_is_refused(password: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(password)


@pytest.mark.parametrize("password", ["correct horse battery", "z2-Kq9!mT4vb", "пароль для работы"])
def test_another_password_is_taken(password: str) -> None:
    validate_password(password)


def test_signing_out_is_a_post_and_ends_the_session(client: Client) -> None:
    client.force_login(MembershipFactory().user)
    assert client.get(site_url("sign-out")).status_code == 405
    assert client.post(site_url("sign-out"))["Location"] == site_url("sign-in")
    assert client.get("/").status_code == 302


def test_person_without_membership_is_told_so(client: Client) -> None:
    client.force_login(UserFactory())
    response = client.get("/")
    assert response.status_code == 403
    assert "not a member of an account" in response.content.decode()


def test_expired_session_sends_the_whole_page_to_sign_in_not_the_fragment(client: Client) -> None:
    campaign = make_campaign()
    response = client.get(reverse("campaign-live", args=[campaign.bulk_id]), headers={"HX-Request": "true"})
    assert response["HX-Redirect"] == reverse("sign-in")


def test_no_page_needs_an_inline_script_or_style(client: Client) -> None:
    page = client.get(reverse("sign-in"))
    assert "unsafe-inline" not in page["Content-Security-Policy"]
    assert "style=" not in page.content.decode()
    assert "<script>" not in page.content.decode()
