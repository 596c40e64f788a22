"""The OpenAPI document as a whole: drf-spectacular's hooks, called once each, in this order."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from copy import deepcopy
from http import HTTPStatus
from typing import Any

from rest_framework.serializers import ListSerializer

from accounts.api.webhook_events import DATA
from accounts.choices import EventType
from campaigns.choices import PauseReason
from messaging.choices import Reason
from smsapp.api import statuses
from smsapp.api.openapi.examples import NULL, example_of, failure_example, success_example
from smsapp.api.openapi.parameters import ANSWERED, IN_PATH, SENT
from smsapp.core.error_codes import CATALOGUE, PROBLEMS
from smsapp.monitoring.metrics import OPERATION as METRICS
from uploads.choices import RowReason


def add_metrics(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """The one operation that REST framework does not answer."""
    result["paths"]["/api/v1/metrics"] = {"get": deepcopy(METRICS)}
    return result


def describe_words(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """What words of the API mean, as tables of the description: statuses, reasons, events, codes of failures."""
    parts = [result["info"]["description"], *_status_tables(), *_reason_tables(), _event_table(), *_code_tables()]
    result["info"]["description"] = "\n\n".join(parts) + "\n"
    return result


def _status_tables() -> Iterator[str]:
    yield "## Statuses\n\nFinal: nothing more is awaited."
    for title, table in statuses.TABLES:
        rows = [(f"`{word}`", "yes" if status.is_final else "", status.meaning) for word, status in table.items()]
        yield _table(f"### {title}", ("Status", "Final", "Meaning"), rows)


def _reason_tables() -> Iterator[str]:
    yield "## Reasons"
    for title, choices in (
        ("Why a message went wrong (`reason` of messages, reports and events)", Reason.choices),
        ("Why a campaign is paused (`pause_reason`)", PauseReason.choices),
        ("Why a number or row is no recipient (`reason` of refused rows and of `/lookup`)", RowReason.choices),
    ):
        rows = [(f"`{value}`", label) for value, label in choices if value]
        yield _table(f"### {title}", ("Reason", "Meaning"), rows)


def _event_table() -> str:
    rows = [
        (f"`{name}`", EventType(name).label if name in EventType else "Results of messages", _fields_of(data()))
        for name, data in DATA.items()
    ]
    return _table("## Events", ("Type", "When", "Fields of `data`"), rows)


def _fields_of(data: Any) -> str:
    """Fields of a serializer, with those of what a list in it holds."""
    names = []
    for name, field in data.fields.items():
        inner = f" (each {_fields_of(field.child)})" if isinstance(field, ListSerializer) else ""
        names.append(f"`{name}`{inner}")
    return ", ".join(names)


def _code_tables() -> Iterator[str]:
    codes = [(f"`{code}`", entry.http_status, entry.when, entry.retry) for code, entry in CATALOGUE.items()]
    yield _table("## Errors", ("Code", "HTTP", "When", "Try again?"), codes)
    problems = [(f"`{code}`", when) for code, when in PROBLEMS.items()]
    title = "### Problems of fields (`details.code` and `details.errors[].code`)"
    others = "Or a code of the table above that is about one field, such as `SENDER_NOT_ALLOWED`."
    yield _table(f"{title}\n\n{others}", ("Code", "When"), problems)


def _table(title: str, head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = [_row(head), _row("---" for _ in head), *(_row(row) for row in rows)]
    return "\n".join([title, "", *lines])


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def write_null_out(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """null itself instead of a reference to an enumeration of nothing but null."""
    result["components"]["schemas"].pop("NullEnum", None)
    _replace(result, {"$ref": "#/components/schemas/NullEnum"}, NULL)
    return result


def _replace(part: Any, old: Any, new: Any) -> None:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(part, dict):
        items = list(part.items())
    elif isinstance(part, list):
        items = list(enumerate(part))
    for key, inner in items:
        if inner == old:
            part[key] = deepcopy(new)
        else:
            _replace(inner, old, new)


def give_examples(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Of parts of addresses, for OpenApiParameter knows only the longer form; of answers, events and failures."""
    for operation in _operations(result["paths"]):
        for parameter in operation.get("parameters", ()):
            if parameter.get("in") == "path":
                parameter["example"] = IN_PATH[parameter["name"]]["example"]
    schemas = result["components"]["schemas"]
    examples = result["components"]["examples"] = {
        code: {"summary": entry.when, "value": failure_example(code)}
        for code, entry in CATALOGUE.items()
        if code != "METHOD_NOT_ALLOWED"  # that is no operation
    }
    for content in _successes(result["paths"]):
        envelope = content["schema"]["$ref"].rpartition("/")[2]
        name = envelope.removesuffix("Envelope")
        value = success_example({"$ref": f"#/components/schemas/{name}"}, schemas)
        examples[name] = {"summary": "An answer", "value": value}
        content["examples"] = {name: {"$ref": f"#/components/examples/{name}"}}
    for operation in _operations(result["webhooks"]):
        content = operation["requestBody"]["content"]["application/json"]
        content["example"] = example_of(content["schema"], schemas)
    return result


def _successes(paths: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Content of every success that has the envelope."""
    for operation in _operations(paths):
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json")
            if status.startswith("2") and content:
                yield content


def share_parts(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """What several operations have in common stands in the document once: headers, and failures."""
    components = result["components"]
    components["headers"] = ANSWERED
    components["parameters"] = {name: {"name": name, "in": "header", **part} for name, part in SENT.items()}
    users: dict[str, list[tuple[dict[str, Any], str]]] = defaultdict(list)
    for operation in _operations(result["webhooks"]):
        operation["security"] = []
    for operation in _operations(result["paths"]):
        for status, response in operation["responses"].items():
            if not status.startswith("2"):
                users[json.dumps([status, response], sort_keys=True)].append((operation, status))
    shared = components.setdefault("responses", {})
    for name, text in _names(users).items():
        shared[name] = json.loads(text)[1]
        for operation, status in users[text]:
            operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    return result


def _names(users: dict[str, list[tuple[dict[str, Any], str]]]) -> dict[str, str]:
    """Failures by name: `NotFound` for what most operations answer with 404, `NotFoundOfLookup` for what is rarer."""
    names: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for text in sorted(users, key=lambda text: -len(users[text])):
        operation, status = users[text][0]
        phrase = HTTPStatus(int(status)).phrase.title().replace(" ", "")
        of = "".join(part.title() for part in operation["operationId"].split("_"))
        names[f"{phrase}Of{of}" if seen[status] else phrase] = text
        seen[status] += 1
    return dict(sorted(names.items()))


def _operations(paths: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (operation for path in paths.values() for operation in path.values())
