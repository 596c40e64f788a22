"""JSON in: bounded, UTF-8, without duplicate keys, NaN or bottomless nesting."""

import codecs
import json
import math
from collections.abc import Mapping
from email.message import Message
from typing import IO, Any

from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser

from smsapp.core.exceptions import InvalidJson, PayloadTooLarge
from smsapp.request_body import MAX_BODY

MAX_DIGITS = 4000  # of a whole number; Python reads 4,300
MAX_DEPTH = 20  # objects and lists within one another


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Raises InvalidJson, PayloadTooLarge or UnsupportedMediaType."""
        if _charset(media_type or "") not in ("", "utf-8", "utf8"):
            raise UnsupportedMediaType(media_type or "")
        body = stream.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise PayloadTooLarge("The request body is too large.", max=MAX_BODY)
        try:
            data = json.loads(
                _text(body), object_pairs_hook=_object, parse_constant=_constant, parse_float=_number, parse_int=_whole
            )
            if rb"\ud" in body.lower():
                json.dumps(data, ensure_ascii=False).encode("utf-8")
        except RecursionError as error:
            raise InvalidJson("The body is nested too deeply.") from error
        except UnicodeEncodeError as error:
            raise InvalidJson("The body is not valid JSON: a \\u escape is half of a character.") from error
        except ValueError as error:
            raise InvalidJson(f"The body is not valid JSON: {error}") from error
        if not isinstance(data, dict):
            raise InvalidJson("The body must be a JSON object.")
        if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _is_deep(data):
            raise InvalidJson("The body is nested too deeply.")
        return data


def _charset(media_type: str) -> str:
    header = Message()
    header["Content-Type"] = media_type
    return (header.get_content_charset() or "").lower()


def _text(body: bytes) -> str:
    """Raises ValueError, which says why in plain words."""
    if body.startswith(codecs.BOM_UTF8):
        raise ValueError("it begins with a byte order mark")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is given twice in one object")
    return result


def _constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError("a number is too large")
    return int(text)


def _is_deep(data: Any) -> bool:
    level = [data]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        if not (level := inner):
            return False
    return any(isinstance(value, dict | list) for value in level)
