"""Servers on loopback that behave as told: raw ones for what HTTP libraries will not do, and one that takes reports."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from messaging.choices import GatewayKind
from messaging.models import Gateway
from tests.support.factories import in_use

Behaviour = Callable[[socket.socket, bytes], None]


@dataclass
class RawServer:
    url: str = ""
    requests: list[bytes] = field(default_factory=list)


def answering(status: int, body: bytes = b"{}", **headers: str) -> Behaviour:
    """A plain answer; header names with underscores for hyphens."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{lines}Connection: close\r\n\r\n"
    return lambda connection, request: connection.sendall(head.encode() + body)


@contextmanager
def raw_server(behave: Behaviour) -> Iterator[RawServer]:
    """Reads one whole request from each connection, then leaves it to `behave` and closes."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            try:
                request = _read_request(connection)
                if request:
                    server.requests.append(request)
                    behave(connection, request)
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    missing = int(lengths[0].split(b":")[1]) - len(body) if lengths else 0
    while missing > 0:
        part = connection.recv(65536)
        if not part:
            return b""
        missing -= len(part)
        data += part
    return data


@dataclass
class ReportReceiver:
    """`statuses` are used up first, then 200."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def results(self) -> list[dict[str, Any]]:
        return [result for body in self.bodies for result in orjson.loads(body)["results"]]

    def ids(self) -> list[str]:
        return [result["messageId"] for result in self.results()]


@contextmanager
def report_receiver(*statuses: int) -> Iterator[ReportReceiver]:
    receiver = ReportReceiver(statuses=list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.statuses.pop(0) if receiver.statuses else 200
            receiver.bodies.append(body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/reports"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def hanging(stack: ExitStack, name: str) -> RawServer:
    """A gateway of that name whose server takes every call and answers none."""
    is_over = threading.Event()
    server = stack.enter_context(raw_server(lambda connection, request: is_over.wait(30) and None))
    stack.callback(is_over.set)
    row = Gateway(name=name, kind=GatewayKind.INFOBIP, base_url=server.url, **in_use())
    row.secrets = {"api_key": "key"}
    row.save()
    return server
