"""Every route, whatever is thrown at it: never an error of ours, never a change, always the envelope.

The routes come from the router and the fields from the schema, so a new one is thrown at without being named here.
"""

import http.client
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.db.models import Max

from accounts.models import ApiKey, ApiUsageLog, IdempotencyKey, Setting
from campaigns.models import Campaign
from tests.support.api_routes import ROUTES, Things, filled, nothing, of_key, routes, value_in
from tests.support.factories import make_api_key, phones
from tests.support.servers.web import running_server

pytestmark = [pytest.mark.django_db, pytest.mark.once]
JSON = "application/json"
DOCUMENTS = ("docs", "redoc", "schema")
PATHS = sorted((path, method) for path, methods in routes() for method in methods if path not in DOCUMENTS)
WRITING = [(path, method) for path, method in PATHS if method != "GET"]
WITH_IDS = [(path, method) for path, method in PATHS if "{" in path]

IDS = [
    "nothing",
    "%00",
    "a%00b",
    "%0d%0aSet-Cookie:%20a=b",
    "..%2f..%2fetc%2fpasswd",
    "%ff%fe",
    "%F0%9F%98%80",
    "%01",
    "0",
    "-1",
    "1e9",
    "9" * 19,
    "9" * 400,
    "x" * 4000,
    "%ED%A0%80",
    "'%20OR%201=1--",
    "*",
    "null",
    "%E2%80%A8",
]

DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
BODIES: dict[str, bytes] = {
    "broken": b"{",
    "list": b"[]",
    "text": b'"x"',
    "null": b"null",
    "number": b"1",
    "two": b"{}{}",
    "garbage behind": b"{} x",
    "key twice": b'{"message": "a", "message": "b"}',
    "deep": DEEP,
    "deep list": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "21 deep": b'{"a":' * 21 + b"1" + b"}" * 21,
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "BOM": b'\xef\xbb\xbf{"a": 1}',
    "half a character": b'{"a": "\\ud800"}',
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": 1e999}',
    "huge integer": b'{"a": ' + b"9" * 5000 + b"}",
    "NUL": b'{"a": "\x00"}',
    "unknown field": b'{"_connector": "OR", "_negated": true}',
    "too large": b'{"a": "' + b"x" * (4 * 1024 * 1024) + b'"}',
}
TYPES = [
    "text/plain",
    "application/xml",
    "application/x-www-form-urlencoded",
    "application/json; charset=latin-1",
    "application/json; charset=utf-16",
    "multipart/form-data",
    "nonsense",
    "application/json\x01",
]
VALUES: dict[str, Any] = {
    "NUL": "a\x00b",
    "control": "a\x01b",
    "line": "a\r\nX-Injected: 1",
    "line separator": "a\u2028b",
    "long": "x" * 100_000,
    "huge": 10**300,
    "negative": -(2**63) - 1,
    "list": [[[]]],
    "object": {"_connector": "OR"},
    "of lists": ["\x00"],
    "true": True,
    "float": 1e308,
    "null": None,
    "empty": "",
    "emoji": "\U0001f600" * 5000,
}


def snapshot() -> dict[str, tuple[int, Any]]:
    """How many rows each table has, and its last: what a call might change, but for notes about calls and what the
    installation notes of itself."""
    left_out = (ApiUsageLog, IdempotencyKey, Setting)
    return {
        model._meta.label: (model._default_manager.count(), model._default_manager.aggregate(last=Max("pk"))["last"])
        for model in apps.get_models()
        if model not in left_out and model._meta.managed and not model._meta.label.startswith(("axes.", "sessions."))
    }


@pytest.fixture
def things() -> Things:
    """Something of everything, in one account."""
    things = Things()
    for path, _ in WITH_IDS:
        filled(path, value_in(things, path))
    return things


@pytest.fixture
def headers(things: Things) -> dict[str, str]:
    """Of their owner."""
    own = of_key(things.member)
    ApiKey.objects.update(last_used_at="2099-01-01T00:00:00Z")
    return own


def address_of(things: Things, path: str, method: str) -> str:
    """Of what is there; of nothing where the call has no body that could stop it."""
    return filled(path, nothing if method == "DELETE" else value_in(things, path))


def check(answer: Any, what: object) -> None:
    """An answer to nonsense: a refusal in the envelope."""
    assert 400 <= answer.status_code < 500, (what, answer.status_code, answer.content[:300])
    body = answer.json()
    assert set(body) == {"success", "timestamp", "data", "error", "metadata"}, what
    assert set(body["error"]) == {"code", "message", "details"}, what
    assert len(answer.content) < 100_000, what
    assert "X-Injected" not in answer.headers
    assert "Set-Cookie" not in answer.headers


def call(client: Any, method: str, path: str, headers: dict[str, str], body: bytes = b"", kind: str = JSON) -> Any:
    return client.generic(method, f"/api/v1/{path}", body, content_type=kind, headers=headers)


def test_addresses_that_name_nothing(client: Any, headers: dict[str, str]) -> None:
    before = snapshot()
    for path, method in WITH_IDS:
        for text in IDS:
            body = json.dumps(ROUTES[(method, path)].body or {}).encode() if method in ("POST", "PATCH") else b""
            answer = call(client, method, filled(path, lambda name, text=text: text), headers, body)
            check(answer, (method, path, text))
    assert snapshot() == before


@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_are_none(client: Any, things: Things, headers: dict[str, str], name: str) -> None:
    before = snapshot()
    for path, method in WRITING:
        address = address_of(things, path, method)
        check(call(client, method, address, headers, BODIES[name]), (method, path))
        check(call(client, method, address, headers | {"Idempotency-Key": "k"}, BODIES[name]), (method, path))
    assert snapshot() == before
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("kind", TYPES)
def test_bodies_of_another_kind(client: Any, things: Things, headers: dict[str, str], kind: str) -> None:
    before = snapshot()
    for path, method in WRITING:
        address = address_of(things, path, method)
        check(call(client, method, address, headers, b'{"message": "Hello"}', kind), (method, path))
    assert snapshot() == before


@cache  # the schema takes seconds to make
def fields() -> tuple[tuple[str, str, str], ...]:
    """(method, path, field) of every field that a JSON body may have, from the schema."""
    return tuple(_fields())


def _fields() -> Iterator[tuple[str, str, str]]:
    from drf_spectacular.generators import SchemaGenerator

    schema = SchemaGenerator().get_schema(request=None, public=True)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get(JSON)
            if content:
                name = content["schema"]["$ref"].rpartition("/")[2]
                for field in schema["components"]["schemas"][name]["properties"]:
                    yield method.upper(), path.removeprefix("/api/v1/"), field


@pytest.mark.parametrize("name", VALUES)
def test_values_that_no_field_takes(client: Any, things: Things, headers: dict[str, str], name: str) -> None:
    """A field may take one of them (null, true): then it is no refusal, and no error either."""
    before = snapshot()
    for method, path, field in fields():
        whole = {**(ROUTES[(method, path)].body or {}), field: VALUES[name]}
        address = address_of(things, path, method)
        with transaction.atomic():
            answer = call(client, method, address, headers, json.dumps(whole).encode())
            transaction.set_rollback(answer.status_code < 300)
        lines = ("line", "line separator") if field != "message" else ()
        if answer.status_code >= 300 or name in ("NUL", "control", "long", "huge", "float", *lines):
            check(answer, (method, path, field))
    assert snapshot() == before


SEND = {"phone_numbers": phones(1), "message": "Hello"}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("path", ["sms/send", "sms/bulk", "campaigns"])
def test_a_send_that_is_right_but_for_one_value(client: Any, name: str, path: str) -> None:
    _, key = make_api_key()
    for _, _, field in [found for found in fields() if found[:2] == ("POST", path)]:
        answer = call(client, "POST", path, {"X-API-Key": key}, json.dumps(SEND | {field: VALUES[name]}).encode())
        assert answer.status_code < 500, field
        if name in ("NUL", "control", "long", "huge", "negative", "list", "object", "float"):
            check(answer, field)
            assert not Campaign.objects.exists(), field
        Campaign.objects.all().delete()


def test_fields_of_the_models_are_not_taken(client: Any) -> None:
    """Mass assignment: every column of a campaign that is no option of a send."""
    _, key = make_api_key()
    known = {field for method, path, field in fields() if (method, path) == ("POST", "sms/send")}
    columns = {field.attname for field in Campaign._meta.concrete_fields} | {"account", "user"}
    for column in sorted(columns - known):
        answer = call(client, "POST", "sms/send", {"X-API-Key": key}, json.dumps(SEND | {column: 1}).encode())
        check(answer, column)
        assert answer.json()["error"]["details"]["errors"][0]["field"] == column
    assert not Campaign.objects.exists()


@pytest.mark.parametrize("place", ["²", "9" * 5000, "7", "x"])
def test_a_field_that_is_named_like_a_place_in_a_list(client: Any, place: str) -> None:
    _, key = make_api_key()
    body = SEND | {f"phone_numbers.{place}": 1}
    check(call(client, "POST", "sms/send", {"X-API-Key": key}, json.dumps(body).encode()), place)


QUERIES = [
    "_connector=OR",
    "_negated=1",
    "a%00=1",
    "%00",
    "limit=1e9",
    "limit=-1",
    "cursor=%00",
    "id__gt=0",
    "account=1",
    "x" * 3000 + "=1",
    "%ff=1",
    "status=%F0%9F%98%80",
    "&".join(f"a{n}=1" for n in range(2000)),
    "page=2",
    "q=%0d%0a",
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:20])
def test_queries_that_make_no_sense(client: Any, headers: dict[str, str], query: str) -> None:
    lists = [path for path, method in PATHS if method == "GET" and "{" not in path and not _is_open(path)]
    for path in lists:
        check(client.get(f"/api/v1/{path}?{query}", headers=headers), path)


def _is_open(path: str) -> bool:
    return ROUTES[("GET", path)].scope is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-API-Key", "a\x00b"),
        ("X-API-Key", "x" * 8000),
        ("X-API-Key", "\xff\xfe"),
        ("Authorization", "Bearer \x00"),
        ("Authorization", "Bearer " + "x" * 8000),
        ("Authorization", "Bearer a.b.c"),
        ("Idempotency-Key", "a\x00"),
        ("Accept", "nonsense"),
        ("Idempotency-Key", "\xe9"),
    ],
)
def test_headers_that_make_no_sense(client: Any, headers: dict[str, str], name: str, value: str) -> None:
    before = snapshot()
    own = {name: value} if name in ("X-API-Key", "Authorization") else headers | {name: value}
    check(call(client, "POST", "sms/send", own, json.dumps(SEND).encode()), name)
    assert snapshot() == before


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "NONSENSE"])
def test_methods_that_are_none(client: Any, headers: dict[str, str], method: str) -> None:
    for path in sorted({path for path, _ in PATHS} - {"metrics"}):
        address = filled(path, lambda parameter: "nothing")
        answer = call(client, method, address, headers)
        assert answer.status_code < 500, (method, path)


@pytest.mark.parametrize("name", ["x" * 300 + ".txt", "a\x00.txt", "../../x.txt", "a\r\nb.txt", "\u202etxt.exe"])
def test_files_with_names_that_are_none(client: Any, headers: dict[str, str], name: str) -> None:
    file = SimpleUploadedFile("n.txt", phones(1)[0].encode())
    file.name = name
    answer = client.post("/api/v1/files/upload", {"file": file}, headers=headers)
    assert answer.status_code < 500


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_an_upload_without_a_body(client: Any, headers: dict[str, str], kind: str) -> None:
    before = snapshot()
    check(call(client, "POST", "files/upload", headers, b"", kind), kind)
    assert snapshot() == before


@pytest.mark.postgresql
@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_a_refused_body_costs_the_next_call_nothing(tmp_path: Path) -> None:
    """It is read to its end though nobody looked at it, so that the connection carries what follows."""
    with running_server(tmp_path) as server:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
        for _ in range(10):
            connection.request("POST", "/api/v1/sms/send", b"x" * 2_000_000, {"Content-Type": "text/plain"})
            answer = connection.getresponse()
            assert (answer.status, answer.read()[:16]) == (401, b'{"success":false')
        connection.close()
