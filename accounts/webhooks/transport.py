"""One call of a customer's endpoint, over the checked address, with an end to everything.

No redirects, no proxies, no compression, no kept connection: an endpoint gets one body and has 15 seconds in all to
answer; at most 64 KB of its answer are read.
"""

import functools
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit

import httpcore2

from accounts.webhooks.destinations import Target, resolve, target_of
from smsapp.core.exceptions import CallbackUrlNotAllowed
from smsapp.lib.retry_after import retry_after_seconds

CONNECT_TIMEOUT = 5.0  # seconds, look-up included
TIMEOUT = 15.0  # seconds for the whole call
MAX_RESPONSE = 64 * 1024  # bytes read of an answer
KEPT_RESPONSE = 1024  # characters of it that are kept
MAX_RETRY_AFTER = 24 * 3600.0  # seconds
USER_AGENT = "smsapp-webhooks/1"

UNREACHABLE = "The endpoint could not be reached."
NO_ANSWER = "The endpoint gave no answer within the time allowed."
FAILURES = (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a call.

    `status` None: no answer, and `error` says why without giving the network away. `retry_after`: seconds the endpoint
    asked for. Times in milliseconds.
    """

    status: int | None
    duration_ms: int
    error: str = ""
    response: str = ""
    retry_after: float | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def post(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Send one body. Never raises for anything that the endpoint or the network does."""
    began = time.monotonic()
    deadline = began + TIMEOUT
    backend = None
    try:
        target = target_of(url)
        addresses = resolve(target, CONNECT_TIMEOUT)
        backend = _CheckedBackend(target, addresses, deadline)
        status, found, content = _exchange(url, target, headers, body, backend)
    except CallbackUrlNotAllowed:
        return Answer(None, _since(began), UNREACHABLE)
    except FAILURES:
        reached = backend is not None and backend.is_connected
        return Answer(None, _since(began), NO_ANSWER if reached else UNREACHABLE)
    return Answer(status, _since(began), "", _shown(content), retry_after_seconds(found, MAX_RETRY_AFTER))


def _exchange(
    url: str, target: Target, headers: Mapping[str, str], body: bytes, backend: "_CheckedBackend"
) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    host = f"[{target.host}]" if ":" in target.host else target.host
    default = 443 if target.scheme == "https" else 80
    fields = {
        "Host": host if target.port == default else f"{host}:{target.port}",
        "User-Agent": USER_AGENT,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    path = _as_ascii(parts.path or "/") + (f"?{_as_ascii(parts.query)}" if parts.query else "")
    address = httpcore2.URL(
        scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=path.encode()
    )
    with httpcore2.ConnectionPool(
        ssl_context=_tls() if target.scheme == "https" else None, max_connections=1, retries=0, network_backend=backend
    ) as pool:
        sent = [(name.encode(), value.encode()) for name, value in fields.items()]
        with pool.stream(b"POST", address, headers=sent, content=body) as response:
            found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return response.status, found, _beginning_of(response)


def _beginning_of(response: httpcore2.Response) -> bytes:
    """Read at most MAX_RESPONSE bytes: the status is known, and whatever breaks behind it changes nothing."""
    content = bytearray()
    try:
        for part in response.iter_stream():
            content += part
            if len(content) >= MAX_RESPONSE:
                break
    except FAILURES:
        pass
    return bytes(content[:MAX_RESPONSE])


class _CheckedBackend(httpcore2.SyncBackend):
    """Connects only to the checked addresses, whatever name it is given, and obeys the call's deadline."""

    def __init__(self, target: Target, addresses: list[str], deadline: float) -> None:
        self._target, self._addresses, self._deadline = target, addresses, deadline
        self.is_connected = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        until = min(self._deadline, time.monotonic() + CONNECT_TIMEOUT)
        failure: Exception | None = None
        for address in self._addresses:
            try:
                stream = super().connect_tcp(address, self._target.port, _left(until), None, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
                continue
            self.is_connected = True
            return _TimedStream(stream, self._deadline)
        raise failure or httpcore2.ConnectError("no address")


class _TimedStream(httpcore2.NetworkStream):
    """Has one deadline: the time-out of an ordinary read starts again with every byte."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        seconds = min(CONNECT_TIMEOUT, _left(self._deadline))
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("time limit of the call reached")
    return left


@functools.lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpcore2.default_ssl_context()


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _as_ascii(text: str) -> str:
    return "".join(c if c.isascii() else "".join(f"%{byte:02X}" for byte in c.encode()) for c in text)


def _shown(content: bytes) -> str:
    """Return the beginning of an answer as text that any screen and database accepts."""
    text = content[: 4 * KEPT_RESPONSE].decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)[:KEPT_RESPONSE]
