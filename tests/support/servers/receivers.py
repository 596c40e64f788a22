"""A customer's server on loopback: takes webhooks, keeps them, and misbehaves as it is told."""

import contextlib
import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Act = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: str

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """`acts`: by path, what it does instead of answering 200."""

    port: int = 0
    acts: dict[str, Act] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextlib.contextmanager
def running_receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = whole_body(self)
            if body is None:
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                receiver.received.append(Received(self.path, headers, body.decode()))
                receiver.at_once += 1
                receiver.most_at_once = max(receiver.most_at_once, receiver.at_once)
            try:
                with contextlib.suppress(OSError):
                    receiver.acts.get(self.path, answers(200))(self)
            finally:
                with lock:
                    receiver.at_once -= 1

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


def whole_body(handler: BaseHTTPRequestHandler) -> bytes | None:
    """The body of a call; None if the caller was cut off, or killed, while it was writing."""
    length = int(handler.headers.get("Content-Length", -1))
    body = handler.rfile.read(max(length, 0))
    return body if len(body) == length else None


def answers(status: int, body: bytes = b"", **headers: str) -> Act:
    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return act


def sleeps(seconds: float, status: int = 200) -> Act:
    def act(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        answers(status)(handler)

    return act


def drips(handler: BaseHTTPRequestHandler) -> None:
    """A byte of its headers now and then, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X")
        handler.wfile.flush()
        time.sleep(0.05)


def endless_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-Filler: " + b"a" * 1000 + b"\r\n")


def endless_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"a" * 65536)


def resets(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def gzip_bomb(handler: BaseHTTPRequestHandler) -> None:
    answers(200, gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip")(handler)
