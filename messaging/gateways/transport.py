"""HTTP calls that end in time and never lie about what left this machine.

A call is made once: no retries, no redirects, no proxies from the environment. It has one deadline for everything, and
its failure says for certain whether a byte of the request was written to the network.

Built on httpcore2, the engine of httpx2: its network backend is the one place where both can be known. A client's read
time-out starts again with every byte that arrives, and its exceptions do not say whether the request began.
"""

import math
import os
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpcore2

from messaging.gateways.base import NotBegun, NotSent, Refused, Unknown

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
#: Connections of one process to one gateway. Dispatch begins no call without one; others wait for the connect time-out.
MAX_CONNECTIONS = 32
KEEPALIVE_SECONDS = 10.0  # below usual server limits: a connection dropped just as we write costs an unknown outcome
WRITE_SLICE = 64 * 1024  # bytes between two looks at the clock

FAILURES = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    OSError,
)


@dataclass(slots=True)
class _Call:
    deadline: float  # monotonic
    connect_timeout: float
    begin_before: float = math.inf  # monotonic
    has_left: bool = False

    def time_left(self, error: type[Exception]) -> float:
        now = time.monotonic()
        left = self.deadline - now
        if left <= 0 or self.is_too_late(now):
            raise error("time limit of the call reached")
        return left

    def is_too_late(self, now: float) -> bool:
        """Return whether the call must not begin any more."""
        return not self.has_left and now >= self.begin_before


_current_call: ContextVar[_Call] = ContextVar("current_call")


class _TimedStream(httpcore2.NetworkStream):
    """A connection that obeys the deadline of whichever call is using it."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _current_call.get().time_left(httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        call = _current_call.get()
        if not call.has_left:
            # A process that was frozen past its deadline must not begin now: its lease may be another's.
            call.time_left(httpcore2.ConnectTimeout)
            call.has_left = True
        view = memoryview(buffer)
        for start in range(0, len(view), WRITE_SLICE):
            self._stream.write(view[start : start + WRITE_SLICE], call.time_left(httpcore2.WriteTimeout))  # type: ignore[arg-type]

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        call = _current_call.get()
        seconds = min(call.connect_timeout, call.time_left(httpcore2.ConnectTimeout))
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _TimedBackend(httpcore2.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        call = _current_call.get()
        seconds = min(call.connect_timeout, call.time_left(httpcore2.ConnectTimeout))
        return _TimedStream(super().connect_tcp(host, port, seconds, local_address, socket_options))


@dataclass(frozen=True, slots=True)
class Response:
    """`headers`: names in lower case. `peer`: the IP address that answered, empty if unknown."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    peer: str = ""


class Transport:
    """The connections to one base URL, shared by the threads of a process and made anew in a forked child.

    `timeout` is for a whole call, `connect_timeout` for each part of reaching the server; both in seconds.
    Raises ValueError for a base URL that is not http(s).
    """

    _pool_of: tuple[int, httpcore2.ConnectionPool] | None = None  # with the id of the process it belongs to

    def __init__(
        self, base_url: str, headers: Mapping[str, str], *, connect_timeout: float = 5.0, timeout: float = 15.0
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not base_url.isascii():
            raise ValueError("a gateway's base URL must look like https://host or http://host:port")
        self._base_url = base_url.rstrip("/")
        # UTF-8, so that a mistyped key is refused by the provider and does not break the caller.
        self._headers = [(b"Host", parts.netloc.rpartition("@")[2].encode())] + [
            (name.encode(), value.encode()) for name, value in headers.items()
        ]
        self._connect_timeout = connect_timeout
        self._timeout = timeout

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Response:
        return self._request(b"GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, body: bytes, *, begin_before: float = math.inf) -> Response:
        """Make a POST. `begin_before` (monotonic): if not one byte has left by then, none will (NotSent)."""
        return self.request("POST", path, body, begin_before=begin_before)

    def request(self, method: str, path: str, body: bytes | None, *, begin_before: float = math.inf) -> Response:
        return self._request(method.encode(), path, body, begin_before)

    def close(self) -> None:
        if self._pool_of and self._pool_of[0] == os.getpid():
            self._pool_of[1].close()
        self._pool_of = None

    def __del__(self) -> None:
        self.close()

    def _pool(self) -> httpcore2.ConnectionPool:
        # A child of a fork shares its parent's sockets: it must neither use nor close them.
        if self._pool_of is None or self._pool_of[0] != os.getpid():
            secure = self._base_url.startswith("https")
            pool = httpcore2.ConnectionPool(
                ssl_context=httpcore2.default_ssl_context() if secure else None,
                max_connections=MAX_CONNECTIONS,
                keepalive_expiry=KEEPALIVE_SECONDS,
                retries=0,
                network_backend=_TimedBackend(),
            )
            self._pool_of = (os.getpid(), pool)
        return self._pool_of[1]

    def _request(self, method: bytes, path: str, body: bytes | None, begin_before: float = math.inf) -> Response:
        """Make the request.

        Raises NotSent if not one byte of it was written, Unknown after any later failure, Refused if no request can be
        made of our URL and key. NotBegun if we kept it from beginning: without a free connection, or too late.
        """
        headers = self._headers
        if body is not None:
            headers = [*headers, (b"Content-Length", str(len(body)).encode())]
        call = _Call(time.monotonic() + self._timeout, self._connect_timeout, begin_before)
        token = _current_call.set(call)
        try:
            timeouts = {"pool": self._connect_timeout}
            with self._pool().stream(
                method, self._base_url + path, headers=headers, content=body, extensions={"timeout": timeouts}
            ) as response:
                peer = _peer_of(response)
                return Response(response.status, _header_texts(response.headers), _body_of(response), peer)
        except httpcore2.LocalProtocolError as error:
            if call.has_left:
                raise Unknown(_in_words(error)) from error
            raise Refused("No valid HTTP request: check base URL and API key.", is_account=True) from error
        except httpcore2.PoolTimeout as error:
            raise NotBegun("All connections to the gateway were in use.") from error
        except FAILURES as error:
            if call.is_too_late(time.monotonic()):
                raise NotBegun("It was too late to begin the call.") from error
            raise (Unknown if call.has_left else NotSent)(_in_words(error)) from error
        finally:
            _current_call.reset(token)


def _header_texts(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _peer_of(response: httpcore2.Response) -> str:
    stream = response.extensions.get("network_stream")
    address = stream.get_extra_info("server_addr") if stream is not None else None
    return str(address[0]) if isinstance(address, tuple) else ""


def _body_of(response: httpcore2.Response) -> bytes:
    body = bytearray()
    for part in response.iter_stream():
        body += part
        if len(body) > MAX_RESPONSE_BYTES:
            raise httpcore2.RemoteProtocolError("response too large")
    return bytes(body)


def _in_words(error: Exception) -> str:
    """Return the kind of failure, and the system's own text; never what the peer sent, which may hold numbers."""
    cause = error.__cause__ or error.__context__ or error
    system_text = cause.strerror if isinstance(cause, OSError) else None
    return f"{type(error).__name__}: {system_text}" if system_text else type(error).__name__
