"""What every answer of the API and every body of a webhook keeps to, as the guide's chapter "Conventions" says.

`tests/conftest.py` looks at each one that any test causes.
"""

import re
from collections.abc import Iterator
from typing import Any

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
CAPITALS = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
#: What people or providers wrote, shown as it came.
AS_GIVEN = {"value", "values", "provider_status", "response"}


def violations(data: Any, where: str = "answer") -> Iterator[str]:
    """What does not keep to them, in words."""
    if isinstance(data, dict):
        if "results" in data and set(data) != {"results", "next"}:
            yield f"{where} is a list with {sorted(data)}"
        for name, value in data.items():
            yield from _of_name(name, value, f"{where}.{name}")
            if name not in AS_GIVEN:
                yield from violations(value, f"{where}.{name}")
    elif isinstance(data, list):
        for place, value in enumerate(data):
            yield from violations(value, f"{where}[{place}]")
    elif data == "":
        yield f"{where} is an empty text, and not null"
    elif isinstance(data, str) and MOMENT.match(data) and not data.endswith("Z"):
        yield f"{where} is a time without Z: {data}"


def _of_name(name: str, value: Any, where: str) -> Iterator[str]:
    if not NAME.fullmatch(name):
        yield f"{where} is not named in small letters"
    if name == "id":
        yield f"{where} does not say what it is the id of"
    is_status = name == "status" or name.endswith("_status")
    if is_status and name not in AS_GIVEN and isinstance(value, str) and not CAPITALS.fullmatch(value):
        yield f"{where} is a status in small letters: {value}"
    if name == "code" and isinstance(value, str) and not CAPITALS.fullmatch(value):
        yield f"{where} is a code in small letters: {value}"
    if name in ("reason", "kind", "mode", "type", "event") and isinstance(value, str) and CAPITALS.fullmatch(value):
        yield f"{where} is a word in capitals: {value}"
