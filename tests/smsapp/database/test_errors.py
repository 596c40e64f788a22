"""Who asks in an outage is told to come again, by the API and by the pages alike; nobody else is."""

import errno
import sqlite3

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.db.utils import ConnectionHandler

from smsapp.database.errors import is_outage
from tests.support.factories import make_api_key

SEND = "/api/v1/sms/send"
BODY = {"phone_numbers": ["+4915112345678"], "message": "Hello"}
#: Reported by PostgreSQL with these states; the last is EDQUOT or EFBIG, which it has no state for.
AWAY = ("25006", "25P03", "42501", "53100", "57014", "57P01", "58030", "XX001", "XX000")
DEFECTS = ("22012", "23505", "25P02", "42P01")


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


def state_raised(state: str) -> Exception:
    """What Django makes of an error of the server with this state."""
    statement = f"DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(DatabaseError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    return caught.value


@pytest.fixture
def ask(client):
    """The client as a browser or a program sees it: an exception is an answer."""
    client.raise_request_exception = False
    return client


def assert_told_to_come_again(answer) -> None:
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("state", AWAY)
def test_a_server_that_cannot_work_is_an_outage(state):
    assert is_outage(state_raised(state))


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("state", DEFECTS)
def test_what_a_server_refuses_is_none(state):
    assert not is_outage(state_raised(state))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError("connection refused"), True),
        (InterfaceError("connection already closed"), True),
        (raised(InternalError("no result"), psycopg.InternalError("got no result from the query")), True),
        (raised(DatabaseError("lost"), psycopg.DatabaseError("server closed the connection unexpectedly")), True),
        (raised(IntegrityError("twice"), sqlite3.IntegrityError("UNIQUE constraint failed")), False),
        (raised(DataError("too long"), psycopg.DataError("value too long")), False),
        (raised(ProgrammingError("syntax"), psycopg.ProgrammingError("syntax")), False),
        (DatabaseError("Save with update_fields did not affect any rows."), False),
        (OSError(errno.ENOSPC, "No space left"), True),
        (OSError(errno.ENOENT, "No such file"), False),
        (ZeroDivisionError(), False),
    ],
)
def test_what_is_an_outage(error, expected):
    assert is_outage(error) is expected


@pytest.mark.django_db
def test_a_damaged_file_of_sqlite_is_an_outage(tmp_path):
    path = tmp_path / "damaged.sqlite3"
    path.write_bytes(b"x" * 4096)
    damaged = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}})["default"]
    with pytest.raises(DatabaseError) as caught, damaged.cursor() as cursor:
        cursor.execute("SELECT * FROM sqlite_master")
    damaged.close()
    assert is_outage(caught.value)


@pytest.mark.postgresql
@pytest.mark.django_db
def test_a_full_disk_that_the_server_calls_internal_is_no_defect_of_the_api(ask, monkeypatch):
    key = make_api_key()[1]
    monkeypatch.setattr(
        "messaging.services.send",
        lambda *args: connection.cursor().execute(
            "DO $$ BEGIN RAISE EXCEPTION 'could not extend file: File too large' USING ERRCODE = 'XX000'; END $$"
        ),
    )
    answer = ask.post(SEND, BODY, content_type="application/json", headers={"X-API-Key": key})
    assert_told_to_come_again(answer)
    assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "outage", [OperationalError("connection refused"), InterfaceError("connection already closed")]
)
@pytest.mark.parametrize("path", ["/", "/admin/", "/nowhere/"])
def test_a_page_asks_to_come_again(ask, path, outage):
    ask.force_login(get_user_model().objects.create_user("alice", is_staff=True))

    def away(*args):
        raise outage

    with connection.execute_wrapper(away):
        answer = ask.get(path)
    assert_told_to_come_again(answer)
    assert "Temporarily unavailable" in answer.content.decode()


@pytest.mark.django_db
def test_a_defect_of_a_page_is_still_an_error_of_ours(ask):
    ask.force_login(get_user_model().objects.create_user("alice"))

    def wrong(*args):
        raise ProgrammingError("syntax error")

    with connection.execute_wrapper(wrong):
        answer = ask.get("/")
    assert answer.status_code == 500
    assert "Retry-After" not in answer.headers


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_cut_is_an_outage_for_everybody(ask):
    key = make_api_key()[1]
    ask.force_login(get_user_model().objects.create_user("alice"))
    try:
        for get in (
            lambda: ask.get("/api/v1/campaigns", headers={"X-API-Key": key}),
            lambda: ask.get("/"),
        ):
            connection.close()
            with pytest.raises(OperationalError), connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            assert_told_to_come_again(get())
    finally:
        connection.close()
