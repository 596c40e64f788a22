"""What the shape of a request breaks, as REST framework says it, in our words: one entry for each problem."""

from collections.abc import Iterator, Mapping
from typing import Any

from rest_framework.exceptions import ErrorDetail

from smsapp.core.error_codes import problem_code
from smsapp.core.exceptions import ValidationError, shown
from smsapp.lib.digits import whole_number

MAX_TEXT = 200  # characters of a message or the name of a field, either of which may repeat what was given
WORDS = {"not_a_list": "This must be a list.", "not_a_dict": "This must be an object."}  # for words of Python
SECRET_FIELDS = {"password", "refresh_token"}  # never shown back


def shape_problem(detail: Any, data: Any) -> ValidationError:
    """An error of a serializer, which names all of its problems. `data`: the body."""
    errors = [
        {
            "field": _cut(path),
            "code": problem_code(one.code or "invalid"),
            "message": _words(one),
            "value": _shown_at(data, path),
        }
        for path, one in _flatten(detail)
    ]
    first = errors[0]
    return ValidationError(first["message"], first["field"], first["value"], problem=first["code"], errors=errors)


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, ErrorDetail]]:
    """Nested details as (`phone_numbers[0]`, error) pairs."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            if key == "non_field_errors":
                inner = path
            elif isinstance(key, int):
                inner = f"{path}[{key}]"
            else:
                inner = f"{path}.{key}" if path else str(key)
            yield from _flatten(value, inner)
    elif isinstance(detail, list):
        for value in detail:
            yield from _flatten(value, path)
    else:
        yield path, detail


def _words(one: ErrorDetail) -> str:
    return WORDS.get(one.code or "") or _cut(str(one))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _shown_at(data: Any, path: str) -> Any:
    return None if path in SECRET_FIELDS else shown(_value_at(data, path))


def _value_at(data: Any, path: str) -> Any:
    for part in path.replace("]", "").replace("[", ".").split("."):
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list) and (place := whole_number(part)) is not None and place < len(data):
            data = data[place]
        else:
            return None
    return data
