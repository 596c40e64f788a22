"""Guessing from one address and from many: slowed, and never at the cost of the person whose name is tried."""

import secrets
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client
from django.urls import reverse

from accounts.access import guessing
from smsapp.core import rate_limits
from tests.support.factories import MembershipFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PASSWORD, WRONG = "correct horse battery", "wrong"


@pytest.fixture(autouse=True)
def tiers(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production, in windows of this test's own, counted here: what Redis counts is tested with the limits."""
    settings.SIGN_IN_FAILURES_ADDRESS, settings.SIGN_IN_FAILURES_NAME = 30, 20
    monkeypatch.setattr(guessing, "cache", LocMemCache(secrets.token_hex(4), {}))
    monkeypatch.setattr(rate_limits._lost, "until", float("inf"))
    monkeypatch.setattr(rate_limits, "_local", {})


def guess(name: str, address: str, password: str = WRONG, client: Client | None = None) -> int:
    client = client or Client()
    data = {"username": name, "password": password}
    return client.post(reverse("sign-in"), data, REMOTE_ADDR=address).status_code


def of_api(name: str, address: str, password: str = WRONG) -> int:
    return (
        Client()
        .post(
            "/api/v1/auth/token",
            {"username": name, "password": password},
            content_type="application/json",
            REMOTE_ADDR=address,
        )
        .status_code
    )


def looked_at(statuses: list[int]) -> int:
    return sum(status != 429 for status in statuses)


DOORS = [guess, of_api]


@pytest.mark.parametrize("door", DOORS)
def test_many_addresses_that_guess_at_one_name_are_slowed(door: Any) -> None:
    name = MembershipFactory().user.username
    statuses = [door(name, f"203.0.113.{n}") for n in range(150)]
    assert looked_at(statuses) <= 20 + guessing.SLOW


def test_by_name_and_by_e_mail_address_are_one(client: Client) -> None:
    user = MembershipFactory().user
    statuses = [guess(user.email.upper() if n % 2 else user.username, f"203.0.113.{n}") for n in range(100)]
    assert looked_at(statuses) <= 20 + guessing.SLOW


@pytest.mark.parametrize("door", DOORS)
def test_a_name_that_nobody_has_is_slowed_alike(door: Any) -> None:
    statuses = [door("nobody", f"203.0.113.{n}") for n in range(100)]
    assert looked_at(statuses) == 20 + guessing.SLOW


@pytest.mark.parametrize("door", DOORS)
def test_one_address_that_tries_many_names_is_stopped(door: Any) -> None:
    statuses = [door(UserFactory().username, "203.0.113.1") for _ in range(60)]
    assert looked_at(statuses) == 30


def test_an_ipv6_network_is_one_address() -> None:
    statuses = [guess(UserFactory().username, f"2001:db8:1:1::{n:x}") for n in range(60)]
    assert looked_at(statuses) == 30
    assert guess(UserFactory().username, "2001:db8:1:2::1") == 200


def test_the_lock_of_a_name_at_an_address_holds_for_an_ipv6_network() -> None:
    name = UserFactory().username
    assert looked_at([guess(name, f"2001:db8:1:1::{n:x}") for n in range(1, 20)]) == 9  # the tenth is told of the lock
    assert set(AccessAttempt.objects.values_list("ip_address", flat=True)) == {"2001:db8:1:1::"}


@pytest.mark.parametrize("door", DOORS)
def test_who_has_signed_in_there_before_is_never_kept_out(door: Any) -> None:
    """By the browser on the pages, by the address in the API."""
    name, browser = MembershipFactory().user.username, Client()
    assert guess(name, "198.51.100.1", PASSWORD, browser) == 302
    browser.post(reverse("sign-out"))
    for n in range(100):
        door(name, f"203.0.113.{n}")
    for _ in range(60):
        door(UserFactory().username, "198.51.100.9")
    assert guess(name, "198.51.100.9", PASSWORD, browser) == 302  # an address full of guesses, a browser that is known
    assert of_api(name, "198.51.100.1", PASSWORD) == 200


def test_somebody_new_there_gets_in_when_the_guessing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    name = MembershipFactory().user.username
    for n in range(100):
        guess(name, f"203.0.113.{n}")
    assert guess(name, "198.51.100.1", PASSWORD) == 429
    rate_limits._local = {key: row for key, row in rate_limits._local.items() if "slow" not in key}  # a minute later
    assert guess(name, "198.51.100.1", PASSWORD) == 302


def test_right_passwords_are_no_guesses() -> None:
    users = [MembershipFactory().user.username for _ in range(40)]
    assert [guess(name, "203.0.113.1", PASSWORD) for name in users] == [302] * 40
    assert [guess(users[0], f"203.0.113.{n}", PASSWORD) for n in range(50)] == [302] * 50


def test_a_known_browser_has_ten_guesses_too_from_wherever() -> None:
    name, browser = MembershipFactory().user.username, Client()
    assert guess(name, "198.51.100.1", PASSWORD, browser) == 302
    browser.post(reverse("sign-out"))
    assert looked_at([guess(name, f"203.0.113.{n}", client=browser) for n in range(40)]) == guessing.OF_KNOWN


def test_the_cookie_of_one_person_is_nothing_for_another() -> None:
    thief, victim = MembershipFactory().user.username, MembershipFactory().user.username
    browser = Client()
    guess(thief, "203.0.113.1", PASSWORD, browser)
    browser.post(reverse("sign-out"))
    for n in range(100):
        guess(victim, f"203.0.113.{n}")
    assert guess(victim, "198.51.100.1", client=browser) == 429
    browser.cookies[guessing.COOKIE] = "forged"
    assert guess(victim, "198.51.100.1", client=browser) == 429


def test_the_console_counts_with_the_pages() -> None:
    name = UserFactory(is_staff=True).username
    data = {"username": name, "password": "wrong"}
    statuses = [
        Client().post(reverse("admin:login"), data, REMOTE_ADDR=f"203.0.113.{n}").status_code for n in range(100)
    ]
    assert looked_at(statuses) == 20 + guessing.SLOW


@pytest.mark.parametrize("form", ["profile", "password"])
def test_a_stolen_session_does_not_guess_the_password(client: Client, form: str) -> None:
    person = MembershipFactory().user
    client.force_login(person)
    new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}

    def attempt(password: str) -> int:
        own = {"email": "new@example.com", "current_password": password}
        data = {"act": form} | (own if form == "profile" else {"old_password": password} | new)
        return client.post(reverse("profile"), data).status_code

    for _ in range(guessing.OF_KNOWN):
        assert attempt("wrong") == 200
    assert attempt(PASSWORD) == 200
    person.refresh_from_db()
    assert person.email != "new@example.com"
    assert person.check_password(PASSWORD)
