"""JSON answers by way of orjson, which aiohttp does not use by itself."""

from typing import Any

import orjson
from aiohttp import web


def json_response(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def raw(value: Any) -> orjson.Fragment:
    """Serialised once, to stand in many places."""
    return orjson.Fragment(orjson.dumps(value))
