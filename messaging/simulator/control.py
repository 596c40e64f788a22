"""The simulator's own endpoints: what it accepted, what it shall do wrong, send reports now.

From another machine they want the API key, like everything else.
"""

from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from messaging.simulator.faults import FAULTS, SETTINGS
from messaging.simulator.responses import json_response

if TYPE_CHECKING:
    from messaging.simulator.server import Simulator

PREFIX = "/simulator/"
HEALTH = f"{PREFIX}health"


def is_open(request: web.Request) -> bool:
    """May be asked without the key: health by anybody, the rest from this machine."""
    if request.path == HEALTH:
        return True
    return request.path.startswith(PREFIX) and _is_local(request.remote)


def _is_local(address: str | None) -> bool:
    try:
        return address is not None and ip_address(address).is_loopback
    except ValueError:
        return False


def add_routes(app: web.Application, simulator: "Simulator") -> None:
    async def health(request: web.Request) -> web.Response:
        return json_response({"status": "ok"})

    async def ledger(request: web.Request) -> web.Response:
        return json_response(simulator.ledger.summary() | {"pending_reports": simulator.pusher.pending})

    async def messages(request: web.Request) -> web.Response:
        """JSON lines in order of acceptance; ask again with `offset` until there are fewer than `limit`."""
        try:
            offset, limit = int(request.query.get("offset", 0)), int(request.query.get("limit", 10_000))
        except ValueError:
            return _refused("offset and limit must be whole numbers")
        if offset < 0 or not 1 <= limit <= 100_000:
            return _refused("offset must be 0 or more, limit 1 to 100000")
        return web.Response(body=_message_lines(simulator, offset, limit), content_type="application/x-ndjson")

    def fired() -> dict[str, int]:
        return {name: count for name, count in sorted(simulator.faults.fired.items()) if count}

    async def get_faults(request: web.Request) -> web.Response:
        meanings = {"meanings": FAULTS, "settings": list(SETTINGS)}
        return json_response({"values": simulator.faults.values(), "fired": fired(), **meanings})

    async def put_faults(request: web.Request) -> web.Response:
        try:
            values = orjson.loads(await request.read())
            if not isinstance(values, dict):
                return _refused("send a JSON object of fault names and numbers")
            simulator.faults.replace(values)
        except ValueError as error:
            return _refused(str(error))
        return json_response({"values": simulator.faults.values(), "fired": fired()})

    async def flush(request: web.Request) -> web.Response:
        await simulator.pusher.flush()
        return json_response({"pending_reports": simulator.pusher.pending})

    app.router.add_get(HEALTH, health)
    app.router.add_get(f"{PREFIX}ledger", ledger)
    app.router.add_get(f"{PREFIX}messages", messages)
    app.router.add_get(f"{PREFIX}faults", get_faults)
    app.router.add_put(f"{PREFIX}faults", put_faults)
    app.router.add_post(f"{PREFIX}flush", flush)


def _message_lines(simulator: "Simulator", offset: int, limit: int) -> bytes:
    ledger = simulator.ledger
    lines = bytearray()
    for entry in islice(ledger, offset, offset + limit):
        times = 1 + ledger.extra[entry.message_id] if entry.outcome.accepted else 0
        line = {
            "id": entry.message_id,
            "to": entry.to,
            "outcome": entry.outcome.name,
            "kind": entry.outcome.kind,
            "times_accepted": times,
            "reference": entry.call.reference,
            "segments": entry.segments,
            "sender": entry.call.terms.sender,
            "is_reported": entry.is_reported,
            "is_contradicted": entry.is_contradicted,
        }
        lines += orjson.dumps(line | ({"text": entry.text} if entry.text else {})) + b"\n"
    return bytes(lines)


def _refused(reason: str) -> web.Response:
    return json_response({"error": reason}, status=400)
