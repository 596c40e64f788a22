"""Answers that go wrong after the simulator has accepted, and refusals before it does."""

import asyncio
import socket
import struct
import time

from aiohttp import web

from messaging.simulator.faults import Faults
from messaging.simulator.protocol import error_body
from messaging.simulator.responses import json_response

BEFORE = (
    "reset_before",
    "hang_before",
    "throttle",
    "throttle_with_retry_after",
    "refuse_400",
    "refuse_401",
    "refuse_403",
    "error_500",
    "unavailable_503",
    "redirect_307",
)
AFTER = (
    "accept_reset",
    "accept_hang",
    "accept_500",
    "truncated_json",
    "cut_body",
    "html_200",
    "slow_drip",
)

HTML = b"<html><body><h1>Something else</h1></body></html>"


async def refuse(name: str, request: web.Request, faults: Faults) -> web.StreamResponse:
    """The answer of a fault that accepts nothing."""
    match name:
        case "reset_before":
            return reset(request)
        case "hang_before":
            return await hang(request, faults)
        case "throttle" | "throttle_with_retry_after":
            response = json_response(error_body(429, "Too many requests."), status=429)
            if name == "throttle_with_retry_after":
                response.headers["Retry-After"] = f"{faults.setting('retry_after'):g}"
            return response
        case "unavailable_503":
            return web.Response(status=503, body=HTML, content_type="text/html")
        case "redirect_307":
            return web.Response(status=307, headers={"Location": "/sms/3/messages?moved"})
        case _:
            status = int(name.rpartition("_")[2])
            return json_response(error_body(status, "A fault of the simulator."), status=status)


async def spoil(name: str, body: bytes, request: web.Request, faults: Faults) -> web.StreamResponse:
    """The answer of a fault that has accepted: `body` is what should have been sent."""
    match name:
        case "accept_reset":
            return reset(request)
        case "accept_hang":
            return await hang(request, faults)
        case "accept_500":
            return json_response(error_body(500, "General error."), status=500)
        case "html_200":
            return web.Response(body=HTML, content_type="text/html")
        case "truncated_json":
            return web.Response(body=body[: len(body) // 2], content_type="application/json")
        case _:
            return await _drip(body, request, faults.setting("drip_seconds"), cut=name == "cut_body")


def reset(request: web.Request) -> web.Response:
    """Close with RST instead of an answer."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)  # nobody is left to read it


async def hang(request: web.Request, faults: Faults) -> web.Response:
    """Say nothing, for as long as the client waits."""
    end = time.monotonic() + faults.setting("hang_seconds")
    while time.monotonic() < end and request.transport is not None:
        await asyncio.sleep(0.05)
    return reset(request)


async def _drip(body: bytes, request: web.Request, seconds: float, *, cut: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    try:
        await response.prepare(request)
        if cut:
            await response.write(body[: len(body) // 2])
            reset(request)
            return response
        for index in range(len(body)):
            await response.write(body[index : index + 1])
            await asyncio.sleep(seconds)
        await response.write_eof()
    except ConnectionError:
        pass  # the client gave up, as it should
    return response
