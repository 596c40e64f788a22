"""The conventions of the guide, proven on the document and on every serializer; `tests/support/conventions.py` looks
at what is really answered."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from rest_framework import serializers
from rest_framework.fields import empty

import smsapp.api.urls  # noqa: F401  (whatever has serializers)
from accounts.choices import SenderStatus, WebhookState
from campaigns.choices import FINAL, CampaignStatus, CanaryState, RecurringStatus
from messaging.choices import OPEN, MessageStatus
from smsapp.api import statuses
from smsapp.api.openapi.schema import ErrorBody, ErrorDetails, ErrorEnvelope, Metadata, Problem
from smsapp.api.serializers import Answer, StrictSerializer
from smsapp.api.statuses import StatusCounts
from smsapp.core.exceptions import ValidationError, entries_of
from tests.support.conventions import CAPITALS, NAME
from uploads.choices import UploadStatus

#: The shape of all failures, and a list of numbers: neither has a text that may be missing.
OTHERS = {ErrorEnvelope, ErrorBody, ErrorDetails, Problem, Metadata, StatusCounts}
#: A time on somebody's clock, and not a moment.
WALL_TIMES = {"quiet_from", "quiet_until"}
MOMENTS = ("_at", "_since", "_until", "schedule_time", "timestamp")


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(json.dumps(SchemaGenerator().get_schema(public=True)))


def below(kind: type[Any]) -> Iterator[type[Any]]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


def properties(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Component, name and schema of each."""
    for component, schema in document["components"]["schemas"].items():
        for name, part in schema.get("properties", {}).items():
            yield component, name, part


def kinds(part: Any) -> set[str]:
    """Types that JSON may have there."""
    own = part.get("type", [])
    inner = (kinds(one) for word in ("oneOf", "anyOf") for one in part.get(word, ()))
    return {own} if isinstance(own, str) else set(own).union(*inner)


def enum_of(document: Any, part: Any) -> list[Any]:
    refs = [one["$ref"] for one in (part, *part.get("allOf", ()), *part.get("oneOf", ())) if "$ref" in one]
    component = document["components"]["schemas"][refs[0].rpartition("/")[2]] if refs else part
    return [word for word in component.get("enum", ()) if word is not None]


def test_every_serializer_is_a_request_or_an_answer() -> None:
    own = {one for one in below(serializers.Serializer) if ".api." in one.__module__}
    assert {one for one in own if not issubclass(one, Answer | StrictSerializer)} - OTHERS == set()


def test_names_are_words_in_small_letters_and_ids_say_of_what(document: Any) -> None:
    assert [(c, name) for c, name, _ in properties(document) if not NAME.fullmatch(name) or name == "id"] == []
    parameters = {
        one["name"]
        for path in document["paths"].values()
        for operation in path.values()
        for one in operation["parameters"]
        if "name" in one
    }
    assert [name for name in parameters if not NAME.fullmatch(name) or name == "id"] == []


def test_moments_are_date_times_and_named_as_such(document: Any) -> None:
    for component, name, part in properties(document):
        is_moment = part.get("format") == "date-time"
        assert is_moment == (name.endswith(MOMENTS) and name not in WALL_TIMES) or name in WALL_TIMES, (component, name)


def test_lists_have_one_shape(document: Any) -> None:
    for component, schema in document["components"]["schemas"].items():
        names = set(schema.get("properties", {}))
        assert not names & {"previous", "next_offset", "offset", "count", "page"}, component
        if names & {"results", "next"}:
            assert names == set(schema["required"]) == {"results", "next"}, component
            assert component.endswith("Page")
            assert kinds(schema["properties"]["next"]) == {"string", "null"}


def test_statuses_are_capitals_and_other_words_are_not(document: Any) -> None:
    for component, name, part in properties(document):
        words = enum_of(document, part)
        if name == "status" or (name.endswith("_status") and name != "messages_by_status"):
            assert all(CAPITALS.fullmatch(word) for word in words), (component, name)
            assert words or "integer" in kinds(part) or name == "provider_status", (component, name)
        else:
            assert not any(CAPITALS.fullmatch(word) for word in words if name != "also"), (component, name)
    for path in document["paths"].values():
        for operation in path.values():
            for one in operation["parameters"]:
                if one.get("name") == "status":
                    assert all(CAPITALS.fullmatch(word) for word in one["schema"]["enum"])


def test_the_statuses_that_are_told_are_those_there_are() -> None:
    stored = {
        "MESSAGE": [status.public for status in MessageStatus],
        "CAMPAIGN": [status.value.upper() for status in CampaignStatus],
        "CANARY": [status.value.upper() for status in CanaryState],
        "RECURRING": [status.value.upper() for status in RecurringStatus],
        "UPLOAD": [status.value.upper() for status in UploadStatus],
        "SENDER": [status.value.upper() for status in SenderStatus],
        "DELIVERY": [status.value.upper() for status in WebhookState],
    }
    for name, words in stored.items():
        assert set(getattr(statuses, name)) == set(words), name
    assert {word for word, one in statuses.MESSAGE.items() if not one.is_final} == {one.public for one in OPEN}
    assert {word for word, one in statuses.CAMPAIGN.items() if one.is_final} == {one.value.upper() for one in FINAL}


def test_every_word_of_the_api_stands_in_the_guide(document: Any) -> None:
    guide = document["info"]["description"]
    names = ("MessageStatus", "CampaignStatus", "UploadStatus", "MessageReason", "PauseReason", "RowReason")
    words = {word for name in names for word in document["components"]["schemas"][name]["enum"]}
    missing = [word for word in {*words, *document["webhooks"]} if f"| `{word}` |" not in guide]
    assert missing == []


# --- null means absent ------------------------------------------------------------------------------------


def forms(document: Any) -> Iterator[tuple[str, type[StrictSerializer], bool, dict[str, Any]]]:
    """Component, class, whether it is for a change, and a good body: of each request in JSON."""
    classes = {
        f"{one.__name__.removesuffix('Serializer').removesuffix('Request')}Request": one
        for one in below(StrictSerializer)
    }
    for path in document["paths"].values():
        for operation in path.values():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content:
                component = content["schema"]["$ref"].rpartition("/")[2]
                for example in content["examples"].values():
                    is_change = component.startswith("Patched")
                    yield component, classes[component.removeprefix("Patched")], is_change, example["value"]


def read(form: type[StrictSerializer], is_change: bool, body: dict[str, Any]) -> tuple[bool, Any]:
    one = form(data=body, partial=is_change)
    try:
        one.is_valid(raise_exception=True)
    except ValidationError as error:
        return False, {entry["field"]: entry["code"] for entry in entries_of(error)}
    return True, dict(one.validated_data)


def given(form: type[StrictSerializer], body: dict[str, Any]) -> tuple[bool, Any]:
    """What was read, without what is None anyway."""
    is_good, values = read(form, False, body)
    return is_good, {name: value for name, value in values.items() if value is not None}


def test_null_is_the_same_as_leaving_a_field_out(document: Any) -> None:
    seen = set()
    for component, form, is_change, body in forms(document):
        seen.add(form)
        for name, field in form().fields.items():
            if field.required or is_change:
                continue
            without = {key: value for key, value in body.items() if key != name}
            assert given(form, without | {name: None}) == given(form, without), (component, name)
            part = document["components"]["schemas"][component]["properties"][name]
            assert "null" in kinds(part), (component, name)
    own = {one for one in below(StrictSerializer) if ".api." in one.__module__ and one.is_json}
    assert {one for one in own - seen if not any(below(one)) and one().fields} == set()


def test_null_in_a_change_takes_a_field_back_to_what_it_is_when_left_out(document: Any) -> None:
    for component, form, is_change, _ in forms(document):
        for name, field in form().fields.items() if is_change else ():
            is_good, values = read(form, True, {name: None})
            if field.required and not field.allow_null:
                assert (is_good, values) == (False, {name: "NULL"}), (component, name)
                continue
            if field.allow_null:
                expected = (True, {name: None})
            elif field.default is empty:
                expected = (False, {name: "NULL"})
            else:
                expected = (True, {name: form().fields[name].run_validation(empty)})
            assert (is_good, values) == expected, (component, name)
            part = document["components"]["schemas"][component]["properties"][name]
            assert ("null" in kinds(part)) == is_good, (component, name)


def test_a_value_that_is_null_is_none(document: Any) -> None:
    from uploads.api.contacts import ContactRequest

    body = {"phone_number": "+4915112345678", "values": {"first_name": "Anna", "title": None}}
    is_good, values = read(ContactRequest, False, body)
    assert (is_good, values["values"]) == (True, {"first_name": "Anna"})


def test_the_guide_names_each_convention() -> None:
    guide = (settings.BASE_DIR / "smsapp" / "api" / "guide.md").read_text()
    chapter = guide.partition("## Conventions")[2].partition("\n## ")[0]
    for what in (
        "Names",
        "Absent",
        "Times",
        "Lists",
        "Statuses, codes of errors",
        "All other words",
        "Messages by status",
        "Money",
    ):
        assert f"| {what} |" in chapter, what
