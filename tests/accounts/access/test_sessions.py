"""Sessions: what is stored opens nothing, they end when idle, when old, and are removed, as are records of sign-ins."""

import time
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.access import sessions
from accounts.access.session_limits import SEEN, SIGNED_IN
from accounts.access.session_store import stored_as
from accounts.dashboard.workspace import site_url
from tests.support.factories import MembershipFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(client: Client) -> Client:
    client.force_login(MembershipFactory(user__is_staff=True, user__is_superuser=True).user)
    return client


def set_back(client: Client, **seconds: int) -> None:
    session = client.session
    for name, by in seconds.items():
        session[name] = int(time.time()) - by
    session.save()


def is_in(client: Client, page: str = "/", **headers: str) -> bool:
    return bool(client.get(page, headers=headers).status_code == 200)


def test_what_is_stored_is_no_key(signed_in: Client) -> None:
    (stored,) = Session.objects.values_list("session_key", flat=True)
    key = signed_in.cookies[django_settings.SESSION_COOKIE_NAME].value
    assert stored == stored_as(key) != key
    thief = Client()
    thief.cookies[django_settings.SESSION_COOKIE_NAME] = stored
    assert not is_in(thief)
    assert is_in(signed_in)


def test_signing_in_to_the_api_makes_none(client: Client) -> None:
    data = {"username": MembershipFactory().user.username, "password": "correct horse battery"}
    answer = client.post("/api/v1/auth/token", data, content_type="application/json")
    assert (answer.status_code, list(answer.cookies), Session.objects.count()) == (200, [], 0)


def test_signing_out_ends_it(signed_in: Client) -> None:
    signed_in.post(site_url("sign-out"))
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("page", "idle", "stays"),
    [("/", 11 * 3600, True), ("/", 12 * 3600 + 5, False), ("/admin/", 29 * 60, True), ("/admin/", 30 * 60 + 5, False)],
)
def test_an_idle_session_has_ended(signed_in: Client, page: str, idle: int, stays: bool) -> None:
    set_back(signed_in, **{SEEN: idle})
    assert is_in(signed_in, page) is stays
    assert is_in(signed_in, "/") is stays


def test_a_session_ends_however_busy_it_is(signed_in: Client) -> None:
    set_back(signed_in, **{SIGNED_IN: 14 * 24 * 3600 + 5, SEEN: 5})
    assert not is_in(signed_in)


def test_a_person_keeps_it_alive_and_a_page_left_open_does_not(signed_in: Client) -> None:
    set_back(signed_in, **{SEEN: 11 * 3600})
    is_in(signed_in, "/", **{"HX-Request": "true"})
    assert signed_in.session[SEEN] < time.time() - 10 * 3600
    assert is_in(signed_in)
    assert signed_in.session[SEEN] > time.time() - 10


def test_it_ends_for_the_api_too(signed_in: Client) -> None:
    assert signed_in.get("/api/v1/senders").status_code == 200
    set_back(signed_in, **{SEEN: 12 * 3600 + 5})
    assert signed_in.get("/api/v1/senders").status_code == 401


def test_a_session_of_an_earlier_version_begins_to_count(signed_in: Client) -> None:
    session = signed_in.session
    del session[SEEN], session[SIGNED_IN]
    session.save()
    assert is_in(signed_in)
    assert SEEN in signed_in.session


def test_records_of_sign_ins_and_expired_sessions_are_removed(settings: Any) -> None:
    now = timezone.now()
    for days in (settings.SIGN_IN_DAYS + 1, settings.SIGN_IN_DAYS - 1):
        for model in (AccessLog, AccessFailureLog, AccessAttempt):
            extra = {"failures_since_start": 1} if model is AccessAttempt else {}
            row = model.objects.create(username="x", user_agent=str(days), ip_address="203.0.113.1", **extra)
            model.objects.filter(pk=row.pk).update(attempt_time=now - timedelta(days=days))
    Session.objects.create(session_key="old", session_data="", expire_date=now - timedelta(days=1))
    assert sessions.purge(now).removed == 1
    assert sessions.purge_sign_ins(now).removed == 3
    for model in (AccessLog, AccessFailureLog, AccessAttempt):
        assert model.objects.count() == 1
