"""The OpenAPI document as a whole: drf-spectacular's hooks, called once each."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from smsapp.api.metrics import OPERATION as METRICS
from smsapp.api.parameters import ANSWERED, IN_PATH, SENT
from smsapp.catalogue import CATALOGUE


def describe_codes(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """The whole catalogue, as a table of the description."""
    rows = [f"| `{code}` | {entry.http_status} | {entry.when} | {entry.retry} |" for code, entry in CATALOGUE.items()]
    table = "\n".join(["| Code | HTTP | When | Try again? |", "|---|---|---|---|", *rows])
    result["info"]["description"] += f"\n\n## Errors\n\n{table}\n"
    return result


def add_metrics(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """The one operation that REST framework does not answer."""
    result["paths"]["/api/v1/metrics"] = {"get": deepcopy(METRICS)}
    return result


def give_examples(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Of the parts of addresses: OpenApiParameter knows only the longer form."""
    for operation in _operations(result):
        for parameter in operation.get("parameters", ()):
            if parameter.get("in") == "path":
                parameter["example"] = IN_PATH[parameter["name"]]["example"]
    return result


def share_parts(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """What several operations have in common stands in the document once: headers, and failures."""
    components = result["components"]
    components["headers"] = ANSWERED
    components["parameters"] = {name: {"name": name, "in": "header", **part} for name, part in SENT.items()}
    shared = components.setdefault("responses", {})
    names: dict[str, str] = {}
    for operation in _operations(result):
        for status, response in operation["responses"].items():
            if status.startswith("2"):
                continue
            text = json.dumps(response, sort_keys=True)
            if text not in names:
                names[text] = f"Failure{len(names) + 1}"
                shared[names[text]] = response
            operation["responses"][status] = {"$ref": f"#/components/responses/{names[text]}"}
    return result


def _operations(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (operation for path in result["paths"].values() for operation in path.values())
