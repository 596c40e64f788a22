"""A call with an Idempotency-Key is carried out once, and answered as often as it comes.

REPEAT_CALLERS and REPEAT_KEYS set how many callers send how many keys over real HTTP.
"""

import json
import os
import random
import re
import socket
import time
import uuid
from collections import defaultdict
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import idempotency
from accounts.choices import Mode
from accounts.models import ApiKey, IdempotencyKey
from campaigns.models import Campaign
from messaging.models import Message
from smsapp.api.urls import urlpatterns
from tests.support.factories import make_api_key, phones
from tests.support.servers.web import Server, running_server
from tests.support.together import run_together
from uploads.models import Suppression, Upload
from uploads.suppressions import suppress

CALLERS = int(os.environ.get("REPEAT_CALLERS", 8))
KEYS = int(os.environ.get("REPEAT_KEYS", 12))
CUT = 0.3  # of the calls are cut off before their answer
SEND = "/api/v1/sms/send"
PHONE = phones(1)[0]
BODY = {"phone_numbers": [PHONE], "message": "Hello"}
REPLAYED, ORIGINAL = "Idempotency-Replayed", "Idempotency-Original-Request-Id"

pytestmark = pytest.mark.django_db


class Caller:
    def __init__(self, client: Any, **options: Any) -> None:
        self.client = client
        self.row, self.key = make_api_key(**options)

    def post(self, key: str | None = "k1", body: Any = BODY, path: str = SEND, **headers: str) -> Any:
        own = {"X-API-Key": self.key, **({} if key is None else {"Idempotency-Key": key}), **headers}
        if isinstance(body, dict) and any(isinstance(value, SimpleUploadedFile) for value in body.values()):
            return self.client.post(path, body, headers=own)
        data = body if isinstance(body, bytes) else json.dumps(body)
        return self.client.post(path, data, content_type="application/json", headers=own)


@pytest.fixture
def caller(client: Any) -> Caller:
    return Caller(client)


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_repetition_gets_the_very_same_answer_and_is_not_carried_out(caller: Caller) -> None:
    first = caller.post(**{"X-Request-Id": "first"})
    again = caller.post(**{"X-Request-Id": "second"})
    assert (again.status_code, again.content) == (first.status_code, first.content) == (202, first.content)
    assert (again.headers[REPLAYED], again.headers[ORIGINAL]) == ("true", "first")
    assert again.headers["X-Request-Id"] == "second"
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert REPLAYED not in first.headers
    assert Campaign.objects.count() == Message.objects.count() == 1


def test_a_key_may_be_quoted(caller: Caller) -> None:
    assert caller.post("k").content == caller.post('"k"').content


def test_spaces_and_order_of_the_body_make_no_other_call(caller: Caller) -> None:
    first = caller.post()
    again = caller.post(body=f'{{ "message":"Hello",  "phone_numbers":["{PHONE}"] }}'.encode())
    assert again.content == first.content


@pytest.mark.parametrize(
    ("path", "body"),
    [(SEND, BODY | {"message": "Hello!"}), ("/api/v1/sms/bulk", BODY)],
)
def test_a_key_stands_for_one_call(caller: Caller, path: str, body: Any) -> None:
    caller.post()
    assert code_of(caller.post(path=path, body=body)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert Campaign.objects.count() == 1


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "naïve", "a\tb", "a\x7fb"])
def test_a_key_that_is_none(caller: Caller, key: str) -> None:
    assert code_of(caller.post(key)) == (400, "IDEMPOTENCY_KEY_INVALID")
    assert not Campaign.objects.exists()


def test_keys_are_an_accounts_own_and_a_modes_and_outlast_an_api_key(client: Any, caller: Caller) -> None:
    first = caller.post()
    colleague = Caller(client, account=caller.row.account)
    assert colleague.post().content == first.content
    assert REPLAYED not in Caller(client, account=caller.row.account, mode=Mode.TEST).post().headers
    assert REPLAYED not in Caller(client).post().headers
    assert Campaign.objects.count() == 3


SHOWN_ONCE = {
    "/api/v1/api-keys": {"name": "Shop", "mode": "live"},
    "/api/v1/webhooks": {"url": "https://93.184.216.34/hook"},
}


@pytest.mark.parametrize("path", SHOWN_ONCE)
def test_what_is_shown_once_is_shown_again_to_who_asked_only(client: Any, caller: Caller, path: str) -> None:
    first = caller.post(path=path, body=SHOWN_ONCE[path])
    assert first.status_code == 201
    again = caller.post(path=path, body=SHOWN_ONCE[path])
    assert (again.content, again.headers[REPLAYED]) == (first.content, "true")
    other = Caller(client, account=caller.row.account)
    answer = other.post(path=path, body=SHOWN_ONCE[path])
    assert code_of(answer) == (422, "IDEMPOTENCY_KEY_REUSED")
    shown = first.json()["data"]
    assert shown.get("api_key", shown.get("secret")) not in answer.content.decode()


def test_every_answer_that_shows_a_secret_is_for_one_person() -> None:
    document = json.loads((Path(__file__).parents[2] / "data" / "openapi.json").read_text())
    path_of = partial(re.sub, r"<(?:\w+:)?(\w+)>", r"{\1}")
    views = {f"/api/v1/{path_of(str(one.pattern))}": one.callback for one in urlpatterns}
    found = set()
    for path, methods in document["paths"].items():
        answers = json.dumps([one for code, one in methods.get("post", {}).get("responses", {}).items() if code < "3"])
        envelopes = json.dumps(
            [document["components"]["schemas"][one] for one in re.findall(r"schemas/(\w+)\"", answers)]
        )
        schemas = [document["components"]["schemas"][name] for name in re.findall(r"schemas/(\w+)\"", envelopes)]
        if any({"api_key", "secret"} & one.get("properties", {}).keys() for one in schemas):
            found.add(path)
            assert views[path].cls.is_for_one_person, path
    assert {"/api/v1/api-keys", "/api/v1/webhooks/{endpoint_id}/rotate-secret"} <= found


def test_a_refusal_leaves_the_key_free(caller: Caller) -> None:
    suppress(caller.row.account, PHONE, "asked")
    assert code_of(caller.post()) == (422, "RECIPIENT_OPTED_OUT")
    assert not IdempotencyKey.objects.exists()
    Suppression.objects.all().delete()
    assert caller.post().status_code == 202


def test_a_defect_undoes_all_of_the_work(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("messaging.api.views._shown", lambda message: 1 / 0)
        assert code_of(caller.post()) == (500, "INTERNAL_ERROR")
    assert not Campaign.objects.exists()
    assert not IdempotencyKey.objects.exists()
    assert caller.post().status_code == 202


def test_an_upload_is_known_by_its_fields_and_the_content_of_its_file(caller: Caller) -> None:
    def post(content: str, **fields: str) -> Any:
        file = SimpleUploadedFile("numbers.txt", content.encode())
        return caller.post(path="/api/v1/files/upload", body={"file": file, **fields})

    first = post(PHONE)
    assert first.status_code == 201
    assert post(PHONE).content == first.content
    assert code_of(post(phones(1, 7)[0])) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert code_of(post(PHONE, country="US")) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert Upload.objects.count() == 1


def test_what_is_kept_can_be_read_by_nobody_else(caller: Caller) -> None:
    first = caller.post(path="/api/v1/api-keys", body={"name": "Shop", "mode": "live"})
    again = caller.post(path="/api/v1/api-keys", body={"name": "Shop", "mode": "live"})
    assert first.status_code == 201
    assert again.content == first.content
    assert "sms_live_" not in IdempotencyKey.objects.get().body
    assert ApiKey.objects.filter(name="Shop").count() == 1


def test_work_is_woken_when_it_is_committed(
    caller: Caller, monkeypatch: Any, django_capture_on_commit_callbacks
) -> None:
    woken: list[str] = []
    monkeypatch.setattr("smsapp.core.enqueue._send", lambda task, ids, after: woken.append(task))
    with django_capture_on_commit_callbacks(execute=True):
        caller.post()
    assert "messaging.dispatch_singles" in woken
    woken.clear()
    with django_capture_on_commit_callbacks(execute=True):
        caller.post()
    assert woken == []


def test_a_call_that_only_reads_keeps_nothing(caller: Caller) -> None:
    assert caller.post(path="/api/v1/lookup", body={"message": "Hello"}).status_code == 200
    assert not IdempotencyKey.objects.exists()


def test_a_key_costs_a_fixed_number_of_queries(caller: Caller) -> None:
    caller.post("warm")
    with CaptureQueriesContext(connection) as without:
        caller.post(None)
    with CaptureQueriesContext(connection) as first:
        caller.post("k2")
    with CaptureQueriesContext(connection) as replay:
        caller.post("k2")

    patience = 3 if connection.vendor == "sqlite" else 0  # PRAGMA
    assert len(first) - len(without) <= 4 + patience  # the transaction's own two among them
    assert len(replay) <= 5 + patience


def test_keys_are_forgotten_after_a_week(caller: Caller) -> None:
    for number in range(3):
        caller.post(f"k{number}")
    now = timezone.now()
    IdempotencyKey.objects.exclude(key="k2").update(created_at=now - idempotency.KEPT_FOR - timedelta(seconds=1))
    assert idempotency.purge(now).removed == 2
    assert REPLAYED in caller.post("k2").headers
    assert REPLAYED not in caller.post("k0").headers


TRIGGER = """
CREATE FUNCTION cut_off() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
CREATE {kind} TRIGGER cut_off {when} INSERT ON accounts_idempotencykey {deferred}
    FOR EACH ROW EXECUTE FUNCTION cut_off();
"""


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("kind", "when", "deferred", "code"),
    [
        ("CONSTRAINT", "AFTER", "DEFERRABLE INITIALLY DEFERRED", "OUTCOME_UNKNOWN"),
        ("", "BEFORE", "", "SERVICE_UNAVAILABLE"),
    ],
)
def test_a_connection_lost_in_commit_is_told_from_one_lost_before(caller: Caller, kind, when, deferred, code) -> None:
    with connection.cursor() as cursor:
        cursor.execute(TRIGGER.format(kind=kind, when=when, deferred=deferred))
    try:
        answer = caller.post()
        assert code_of(answer) == (503, code)
        assert int(answer.headers["Retry-After"]) > 0
    finally:
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION cut_off() CASCADE")
    assert not Campaign.objects.exists()
    assert caller.post().status_code == 202
    assert REPLAYED in caller.post().headers


@pytest.mark.django_db
def test_an_answer_that_cannot_be_read_is_no_defect_and_the_call_not_done_again(caller: Caller, settings: Any) -> None:
    """A process with another key answers 503 until it has the right one; then the answer is there."""
    settings.ENCRYPTION_KEYS = ["of-the-first-process" * 2]
    first = caller.post()
    settings.ENCRYPTION_KEYS = ["of-another-process" * 2]
    refused = caller.post()
    assert code_of(refused) == (503, "OUTCOME_UNKNOWN")
    assert int(refused.headers["Retry-After"]) > 0
    settings.ENCRYPTION_KEYS = ["of-the-first-process" * 2]
    assert caller.post().content == first.content
    assert Campaign.objects.count() == 1


class Client:
    """One caller on one connection at a time; some calls are cut off, before or after they are complete."""

    def __init__(self, server: Server, api_key: str, dice: random.Random) -> None:
        self.server, self.api_key, self.dice = server, api_key, dice

    def call(self, key: str, number: int) -> tuple[int, dict[str, str], bytes]:
        """Ask until there is an answer."""
        while True:
            if self.dice.random() < CUT:
                self._cut_off(key, number)
                continue
            answer = self.ask(key, number)
            if answer[0] != 409:
                return answer
            assert json.loads(answer[2])["error"]["code"] == "IDEMPOTENCY_IN_PROGRESS"

    def ask(self, key: str, number: int) -> tuple[int, dict[str, str], bytes]:
        http = HTTPConnection(self.server.host, self.server.port, timeout=60)
        try:
            http.request("POST", SEND, self._body(number), self._headers(key))
            response = http.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            http.close()

    def _cut_off(self, key: str, number: int) -> None:
        body = self._body(number)
        lines = [f"POST {SEND} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self._headers(key).items()]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
        with socket.create_connection((self.server.host, self.server.port), 10) as sock:
            sock.sendall(request[: self.dice.choice((len(request), len(request), len(request) - 5))])
            time.sleep(self.dice.uniform(0, 0.02))

    def _body(self, number: int) -> bytes:
        return json.dumps({"phone_numbers": phones(2, number), "message": f"Message {number}"}).encode()

    def _headers(self, key: str) -> dict[str, str]:
        return {"Content-Type": "application/json", "X-API-Key": self.api_key, "Idempotency-Key": key}


@pytest.mark.django_db(transaction=True)
def test_many_callers_with_cut_connections(tmp_path: Path) -> None:
    _, api_key = make_api_key()
    keys = [uuid.uuid4().hex for _ in range(KEYS)]
    answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = defaultdict(list)
    with running_server(tmp_path) as server:

        def caller(seed: int) -> None:
            dice = random.Random(seed)
            client = Client(server, api_key, dice)
            for number in dice.sample(range(KEYS), KEYS):
                answers[keys[number]].append(client.call(keys[number], number))

        run_together(*(lambda seed=seed: caller(seed) for seed in range(CALLERS)))
        assert server.number("SELECT count(*) FROM sms_campaigns") == KEYS
        assert server.number("SELECT count(*) FROM accounts_idempotencykey") == KEYS
    for key in keys:
        assert len(answers[key]) == CALLERS
        assert {status for status, _, _ in answers[key]} == {202}
        assert len({body for _, _, body in answers[key]}) == 1
        assert sum(REPLAYED not in headers for _, headers, _ in answers[key]) <= 1


@pytest.mark.django_db(transaction=True)
def test_a_call_waits_for_the_first_and_no_longer_than_a_few_seconds(tmp_path: Path) -> None:
    row, api_key = make_api_key()
    with running_server(tmp_path) as server:
        client = Client(server, api_key, random.Random(0))
        assert client.ask("k0", 0)[0] == 202  # the use of the API key is noted
        first = server.connect()
        if connection.vendor == "sqlite":
            first.execute("BEGIN IMMEDIATE")
        first.execute(
            "INSERT INTO accounts_idempotencykey (account_id, mode, key, fingerprint, body, request_id, created_at) "
            f"VALUES ({row.account_id}, 'live', 'k1', '', '', '', '2026-01-01 00:00:00+00')"
        )
        started = time.monotonic()
        status, headers, body = client.ask("k1", 1)
        waited = time.monotonic() - started
        assert (status, json.loads(body)["error"]["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")
        assert headers["Retry-After"] == "1"
        assert idempotency.WAIT - 1 < waited < idempotency.WAIT + 5
        first.rollback()
        first.close()
        assert client.ask("k1", 1)[0] == 202
