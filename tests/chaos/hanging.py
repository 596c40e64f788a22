"""A second provider that takes every request and answers none, for as long as the attack lasts.

What it was sent nobody can know to have been taken; its own ledger says that each message came to it at most once.
What single sends to the other provider notice of it `waits.py` measures.
"""

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson

from messaging.choices import GatewayKind
from messaging.models import Gateway, Route
from tests.chaos.oracle import Entry

NAME = "hanging"
COUNTRY = "31"  # of numbers that go there, and of none that a campaign is sent to
HANG = 10.0  # seconds: longer than a call may last
AT_ONCE = 5  # messages of one call, a request each


class HangingProvider:
    """Answers nothing until `relent`, then takes everything."""

    def __init__(self) -> None:
        self._numbers: dict[str, str] = {}
        self._requests: Counter[str] = Counter()
        self._may_answer = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/messages"

    def make_road(self) -> None:
        """The gateway in the console and its route; done once however often it is asked for."""
        rules = {"url": self.url, "body": {"to": "{to_digits}", "id": "{message_id}", "text": "{text}"}}
        row, _ = Gateway.objects.update_or_create(
            name=NAME, defaults={"kind": GatewayKind.HTTP, "rules": rules, "max_batch": AT_ONCE, "is_enabled": True}
        )
        Route.objects.get_or_create(gateway=row, prefix=COUNTRY)

    def take(self, body: bytes) -> bool:
        """Note the message; whether it is answered."""
        message = orjson.loads(body)
        with self._lock:
            self._numbers[message["id"]] = message["to"]
            self._requests[message["id"]] += 1
        return self._may_answer.wait(HANG)

    def relent(self) -> None:
        self._may_answer.set()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def entries(self) -> list[Entry]:
        """It has no reports to give."""
        with self._lock:
            return [
                Entry(message_id, self._numbers[message_id], "silent", times)
                for message_id, times in self._requests.items()
            ]


def _handler_for(provider: HangingProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if provider.take(self.rfile.read(int(self.headers["Content-Length"]))):
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler
