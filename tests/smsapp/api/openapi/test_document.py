"""The OpenAPI document says everything: nothing is without a description, no answer undocumented, no change unseen.

`make schema` writes tests/data/openapi.json anew; the difference is part of the change that caused it.
"""

import gzip
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from accounts.choices import MESSAGE_STATUS, EventType
from smsapp.api.openapi import pages
from smsapp.api.openapi.pages import DocumentView, YamlRenderer
from smsapp.api.urls import urlpatterns
from smsapp.core.error_codes import CATALOGUE
from tests.support.api import resolved
from tests.support.factories import make_api_key
from uploads.contacts import create_list

SNAPSHOT = Path(settings.BASE_DIR, "tests", "data", "openapi.json")
METHODS = ("get", "post", "put", "patch", "delete")
#: Answered by what stands before the views, or by nobody's key.
OPEN = {"health", "health_live", "health_ready", "metrics", "auth_token", "auth_token_refresh", "auth_token_revoke"}


@pytest.fixture(scope="module")
def document() -> Any:
    """As a client gets it."""
    return json.loads(json.dumps(SchemaGenerator().get_schema(public=True)))


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, item in {**document["paths"], **document["webhooks"]}.items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def undescribed(document: Any, schema: Any, where: str) -> Iterator[str]:
    """Properties without a word about them, of a schema and of all within it."""
    for name, inner in schema.get("properties", {}).items():
        if not inner.get("description") and not resolved(document, inner).get("description"):
            yield f"{where}.{name}"
        yield from undescribed(document, inner, f"{where}.{name}")
    for word in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(word, ()):
            yield from undescribed(document, inner, where)
    if isinstance(schema.get("items"), dict):
        yield from undescribed(document, schema["items"], f"{where}[]")


def test_the_document_is_the_one_that_was_reviewed(document: Any) -> None:
    assert document == json.loads(SNAPSHOT.read_text()), "The document has changed: run `make schema`, review it."


def test_every_schema_in_it_is_json_schema(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere(document: Any) -> None:
    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if "$ref" in part:
                resolved(document, part)
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            for inner in part:
                walk(inner)

    walk(document)


def test_every_operation_is_named_and_described(document: Any) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    tags = [tag["name"] for tag in document["tags"]]
    assert all(tag["description"] for tag in document["tags"])
    for title, operation in operations(document):
        assert operation["summary"], title
        assert operation["description"], title
        assert set(operation["tags"]) <= set(tags), title
    assert {tag for _, operation in operations(document) for tag in operation["tags"]} == set(tags)


def test_every_parameter_and_header_is_described(document: Any) -> None:
    for title, operation in operations(document):
        for part in operation.get("parameters", ()):
            parameter = resolved(document, part)
            assert parameter["description"], (title, parameter["name"])
            assert parameter["schema"].get("type"), (title, parameter["name"])
            if parameter["in"] == "path":
                assert parameter["example"], (title, parameter["name"])
        for status, response in operation["responses"].items():
            for header in resolved(document, response).get("headers", {}).values():
                assert resolved(document, header)["description"], (title, status)


def test_every_field_is_described(document: Any) -> None:
    missing = [
        where
        for name, schema in document["components"]["schemas"].items()
        for where in undescribed(document, schema, name)
    ]
    for title, operation in operations(document):
        for status, response in operation["responses"].items():
            for content in resolved(document, response).get("content", {}).values():
                missing += undescribed(document, content["schema"], f"{title} {status}")
    assert missing == []


def test_every_body_has_an_example_that_it_allows(document: Any) -> None:
    for title, operation in operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            examples = [one["value"] for one in content.get("examples", {}).values()] or [content.get("example")]
            assert all(examples), title
            schema = {**content["schema"], "components": document["components"]}
            for example in examples:
                if kind == "application/json":
                    Draft202012Validator(schema).validate(example)


def test_every_operation_says_what_can_go_wrong(document: Any) -> None:
    for title, operation in operations(document):
        name, statuses = operation["operationId"], set(operation["responses"])
        if name.startswith("webhook_"):
            continue
        assert "default" not in statuses, title
        if name not in OPEN:
            assert {"400", "401", "403", "406", "429", "500", "503"} <= statuses, title
            assert {tuple(one) for one in operation["security"]} == {("apiKey",), ("token",), ("session",)}, title
        if "{" in title:
            assert "404" in statuses, title
        if name != "metrics" and not title.startswith("GET"):
            assert {"413", "415"} <= statuses, title


def test_every_failure_names_codes_of_the_catalogue_with_their_status(document: Any) -> None:
    seen = set()
    for title, operation in operations(document):
        for status, response in operation["responses"].items():
            content = resolved(document, response).get("content", {}).get("application/json")
            if content is None or status.startswith("2"):
                continue
            assert content["schema"] == {"$ref": "#/components/schemas/ErrorEnvelope"}, title
            codes = resolved(document, response)["x-error-codes"]
            assert codes, (title, status)
            assert set(content["examples"]) == set(codes), title
            assert {CATALOGUE[code].http_status for code in codes} == {int(status)}, title
            seen |= set(codes)
    assert set(CATALOGUE) - seen == {"METHOD_NOT_ALLOWED"}  # that is no operation


def test_where_headers_apply_they_are_told(document: Any) -> None:
    for title, operation in operations(document):
        if operation["operationId"].startswith("webhook_"):
            continue
        names = {resolved(document, one)["name"] for one in operation["parameters"]}
        assert "X-Request-Id" in names, title
        for status, response in operation["responses"].items():
            headers = set(resolved(document, response)["headers"])
            assert "X-Request-Id" in headers, (title, status)
            assert ("Retry-After" in headers) or status not in ("429", "503"), (title, status)
            assert ("Idempotency-Replayed" in headers) == ("Idempotency-Key" in names and status < "300"), title
    posts = {operation["operationId"] for title, operation in operations(document) if title.startswith("POST /")}
    without = {
        operation["operationId"]
        for _, operation in operations(document)
        if operation["operationId"] in posts
        and "Idempotency-Key" not in {resolved(document, one)["name"] for one in operation["parameters"]}
    }
    assert without == {"lookup", "campaigns_preflight"} | {name for name in OPEN if name.startswith("auth_")}


def test_every_event_is_a_type_of_its_own(document: Any) -> None:
    grouped = {kind.value for kind in EventType if kind.value.startswith("message.")}
    types = set(EventType.values) - grouped | {MESSAGE_STATUS}
    assert set(document["webhooks"]) == types
    assert set(document["components"]["schemas"]["WebhookEvent"]["discriminator"]["mapping"]) == types
    for name, item in document["webhooks"].items():
        operation = item["post"]
        assert "webhook-signature" in operation["description"]
        body = resolved(document, operation["requestBody"]["content"]["application/json"]["schema"])
        assert body["properties"]["type"]["const"] == name
        assert body["required"] == ["data", "timestamp", "type"]


def test_every_success_has_an_example_that_it_allows(document: Any) -> None:
    for title, operation in operations(document):
        for status, response in operation["responses"].items():
            for kind, content in resolved(document, response).get("content", {}).items():
                examples = [resolved(document, one) for one in content.get("examples", {}).values()]
                assert examples or "example" in content or kind == "text/plain", (title, status)
                schema = {**content["schema"], "components": document["components"]}
                for example in examples:
                    Draft202012Validator(schema).validate(example["value"])


def test_what_base_classes_say_to_programmers_is_not_published(document: Any) -> None:
    internal = {
        inspect.cleandoc(base.__doc__).split("\n")[0]
        for pattern in urlpatterns
        if (view := getattr(pattern.callback, "cls", None))
        for base in view.__mro__[1:]
        if base.__doc__
    }
    published = {operation["description"].split("\n")[0]: title for title, operation in operations(document)}
    assert not internal & set(published)


def test_no_field_of_a_request_is_there_by_default(document: Any) -> None:
    """Generators of clients take a field with a default for one that is always there, and ask for it."""

    def defaults(part: Any) -> Iterator[Any]:
        if isinstance(part, dict):
            yield from ([part] if "default" in part else ())
            yield from (found for inner in part.values() for found in defaults(inner))
        elif isinstance(part, list):
            yield from (found for inner in part for found in defaults(inner))

    assert list(defaults(document["components"]["schemas"])) == []


def test_no_page_fills_in_an_idempotency_key(document: Any) -> None:
    """Whoever tried two calls with it would be refused the second."""
    key = document["components"]["parameters"]["Idempotency-Key"]
    assert not {"example", "examples"} & {*key, *key["schema"]}


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_the_pages_for_people_come_from_here_alone(client: Any, page: str) -> None:
    answer = client.get(f"/api/v1/{page}")
    text = answer.content.decode()
    assert answer.status_code == 200
    assert re.findall(r'(?:src|href|spec-url)="(?!/)', text) == []
    assert "<style" not in text
    assert re.findall(r"<script(?! src=)", text) == []
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy  # that is the default
    assert ("worker-src 'self' blob:" in policy) == ("unsafe-inline" in policy) == (page == "redoc")


@pytest.mark.once
@pytest.mark.django_db
def test_what_was_deleted_is_answered_with_an_empty_body(client: Any) -> None:
    row, key = make_api_key()
    contact_list = create_list(row.account, row.user, "Friends")
    answer = client.delete(f"/api/v1/contact-lists/{contact_list.list_id}", headers={"X-API-Key": key})
    assert (answer.status_code, answer.content, answer.headers.get("Content-Type")) == (204, b"", None)


FORMS = {
    "application/vnd.oai.openapi": yaml.safe_load,
    "application/yaml": yaml.safe_load,
    "application/vnd.oai.openapi+json": json.loads,
    "application/json": json.loads,
}


@pytest.mark.once
@pytest.mark.parametrize("kind", FORMS)
def test_programs_get_it_in_the_form_they_ask_for(client: Any, document: Any, kind: str) -> None:
    answer = client.get("/api/v1/schema", headers={"Accept": kind})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
    assert FORMS[kind](answer.content) == document
    assert client.get("/api/v1/schema?format=json").json() == document


@pytest.mark.once
def test_it_is_packed_for_who_takes_that(client: Any) -> None:
    plain = client.get("/api/v1/schema", headers={"Accept-Encoding": "br, gzip;q=0"})
    packed = client.get("/api/v1/schema", headers={"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert len(packed.content) < len(plain.content) / 8
    assert {one.strip() for one in packed.headers["Vary"].lower().split(",")} >= {"accept", "accept-encoding"}


@pytest.mark.once
def test_who_has_it_is_not_sent_it_again(client: Any) -> None:
    first = client.get("/api/v1/schema", headers={"Accept": "application/json"})
    assert "max-age=300" in first.headers["Cache-Control"]
    again = client.get("/api/v1/schema", headers={"Accept": "application/json", "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    other = client.get("/api/v1/schema", headers={"If-None-Match": first.headers["ETag"]})  # YAML
    assert other.status_code == 200


@pytest.mark.once
def test_it_is_made_once_in_a_process(client: Any) -> None:
    bodies = [DocumentView._document(YamlRenderer()) for _ in range(2)]
    assert bodies[0] is bodies[1]
    assert client.get("/api/v1/schema").content == bodies[0].body


@pytest.mark.once
def test_one_address_gets_so_many_a_minute_and_a_refusal_in_the_usual_shape(client: Any) -> None:
    answers = [client.get("/api/v1/schema", REMOTE_ADDR="203.0.113.77") for _ in range(pages.CALLS + 1)]
    assert [answer.status_code for answer in answers] == [200] * pages.CALLS + [429]
    assert answers[-1].json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert "Retry-After" in answers[-1].headers
    assert client.get("/api/v1/schema?version=2").json()["error"]["details"]["field"] == "version"
