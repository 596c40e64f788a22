"""What every answer says, whoever gives it."""

import stat
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from smsapp.database.sqlite.base import DatabaseWrapper
from smsapp.middleware import SafeHeadersMiddleware
from tests.support.factories import MembershipFactory
from tests.support.pages import addresses

NAMES = [name for name, _ in SafeHeadersMiddleware.HEADERS]


@pytest.mark.django_db
@pytest.mark.once
@pytest.mark.parametrize("who", ["a stranger", "a member", "an operator"])
def test_no_answer_may_be_kept_framed_or_taken_for_something_else(who: str, admin_client: Client) -> None:
    client = admin_client if who == "an operator" else Client(raise_request_exception=False)
    if who == "a member":
        client.force_login(MembershipFactory.create().user)
    lacking = {}
    paths = [path for path in addresses() if not path.startswith("/admin/jsi18n")]
    for path in paths:
        for method in ("get", "post"):
            answer = getattr(client, method)(path)
            assert answer.status_code < 500, (path, answer.status_code)
            missing = [name for name in NAMES if name not in answer.headers]
            if answer.status_code == 200 and who != "a stranger":
                missing += [] if "no-store" in answer.headers["Cache-Control"] else ["no-store"]
            lacking |= {(method, path): missing} if missing else {}
    assert {path: names for path, names in lacking.items() if path[1] not in OPEN_TO_ALL} == {}


#: The same for everybody, and kept by browsers for some time.
OPEN_TO_ALL = {"/manifest.webmanifest", "/sw.js", "/offline/", "/api/v1/schema"}


@pytest.mark.django_db
def test_the_embedded_database_is_nobody_elses_to_read(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "NAME": str(tmp_path / "own.sqlite3"),
        "OPTIONS": {},
        "TIME_ZONE": None,
        "CONN_MAX_AGE": 0,
        "AUTOCOMMIT": True,
        "CONN_HEALTH_CHECKS": False,
        "ATOMIC_REQUESTS": False,
        "TEST": {},
        "ENGINE": "smsapp.database.sqlite",
        "USER": "",
        "PASSWORD": "",
        "HOST": "",
        "PORT": "",
    }
    wrapper = DatabaseWrapper(settings, "own")
    with wrapper.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("CREATE TABLE a (b)")
    rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    wrapper.close()
    assert set(rights.values()) == {0o600}
    assert len(rights) == 3
