"""Values in providers' answers, read so that no odd one breaks what reads or stores it."""

from collections.abc import Mapping
from typing import Any

import orjson


def object_of(body: bytes) -> dict[str, Any]:
    """Return a JSON object. Raises ValueError for anything else."""
    answer = orjson.loads(body)
    if isinstance(answer, dict):
        return answer
    raise ValueError("not a JSON object")


def shortened(value: object, limit: int) -> str:
    """Return a value as text that fits its column. PostgreSQL stores no NUL; a list or an object is no text."""
    return "" if value is None or isinstance(value, Mapping | list) else str(value)[:limit].replace("\x00", "")
