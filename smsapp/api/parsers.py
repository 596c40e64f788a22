"""JSON in: bounded, UTF-8, without duplicate keys, NaN or bottomless nesting."""

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from smsapp.exceptions import PayloadTooLarge

MAX_BODY = 4 * 1024 * 1024  # bytes; 10,000 numbers are about 200 kB


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Raises ParseError or PayloadTooLarge."""
        body = stream.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise PayloadTooLarge("The request body is too large.", max=MAX_BODY)
        try:
            data = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
            if rb"\ud" in body.lower():
                json.dumps(data, ensure_ascii=False).encode("utf-8")
        except RecursionError as error:
            raise ParseError("The body is nested too deeply.") from error
        except UnicodeEncodeError as error:
            raise ParseError("The body is not valid JSON: a \\u escape is half of a character.") from error
        except ValueError as error:
            raise ParseError(f"The body is not valid JSON: {error}") from error
        if not isinstance(data, dict):
            raise ParseError("The body must be a JSON object.")
        return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return result


def _constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
