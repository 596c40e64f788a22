"""The customer's own server: subscribed to every event, it checks signatures, keeps what it was told, and fails.

Only first tries fail: a second comes after five seconds, a third after five minutes, which is longer than a run waits.
And only after many good ones: an endpoint that broke is left alone for longer and longer until a call succeeds, so one
that broke at every trial would hear nothing more before the run ends.
"""

import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from standardwebhooks import Webhook, WebhookVerificationError

from accounts.choices import MESSAGE_STATUS, EventType, Mode, WebhookState
from accounts.models import Account, WebhookDelivery
from accounts.webhooks import endpoints
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from tests.chaos.oracle import Finding, Row
from tests.support.servers.receivers import Act, answers, resets, whole_body

GOOD_BETWEEN = 25  # calls taken between two that fail
HANG = 20.0  # seconds: longer than a call may last


def hangs(handler: BaseHTTPRequestHandler) -> None:
    """No answer at all."""
    time.sleep(HANG)


FAULTS: dict[str, Act] = {"500": answers(500), "reset": resets, "hang": hangs}
TAKEN, FORGED = "taken", "forged"
ACTS = FAULTS | {TAKEN: answers(200), FORGED: answers(400)}


class Told(NamedTuple):
    """What an event says of a message: `sequence` rises with each of its moves."""

    sequence: int
    status: str


class Listener:
    """Listens from `start` to `stop`. `told`: of each message, by its id, all that was answered 200; `completed`:
    campaigns of which we heard that they were. `calls`: by what became of them."""

    def __init__(self) -> None:
        self.told: dict[str, set[Told]] = {}
        self.completed: set[str] = set()
        self.calls: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._faults = itertools.cycle(FAULTS)
        self._good: float = GOOD_BETWEEN  # calls taken since the last fault
        self._lock = threading.Lock()
        self._server = _server_for(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/events"
        self._verifier: Webhook | None = None

    def start(self, account_name: str) -> None:
        """Subscribe to everything that happens to this account."""
        self._thread.start()
        account = Account.objects.get(name=account_name)
        owner = account.memberships.select_related("user").get().user
        _, secret = endpoints.create(account, Mode.LIVE, owner, self.url)
        self._verifier = Webhook(secret)

    def calm(self) -> None:
        """Fail no more."""
        with self._lock:
            self._good = float("-inf")

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """One call."""
        body = whole_body(handler)
        if body is None:
            return
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._lock:
            assert self._verifier is not None
            try:
                event = self._verifier.verify(body, headers)
            except WebhookVerificationError:
                what = FORGED
            else:
                what = self._fault(headers["webhook-id"]) or TAKEN
                if what == TAKEN:
                    self._good += 1
                    self._keep(event)
            self.calls[what] += 1
        with contextlib.suppress(OSError):
            ACTS[what](handler)

    def _fault(self, event_id: str) -> str:
        """What goes wrong with this call, empty if nothing does."""
        is_first = event_id not in self._seen
        self._seen.add(event_id)
        if not is_first or self._good < GOOD_BETWEEN:
            return ""
        self._good = 0
        return next(self._faults)

    def _keep(self, event: dict[str, Any]) -> None:
        data = event["data"]
        if event["type"] == EventType.CAMPAIGN_COMPLETED:
            self.completed.add(data["bulk_id"])
        elif event["type"] == MESSAGE_STATUS:
            for message in data["messages"]:
                told = Told(message["sequence"], message["status"])
                self.told.setdefault(message["message_id"], set()).add(told)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.listener.take(self)  # type: ignore[attr-defined]

    def log_message(self, *args: Any) -> None:
        pass


def _server_for(listener: Listener) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.listener = listener  # type: ignore[attr-defined]
    return server


def unheard(rows: Iterable[Row], told: dict[str, set[Told]]) -> list[Finding]:
    """Messages whose final status did not arrive, or not as the last word. Pure."""
    found = []
    for row in rows:
        heard = told.get(row.message_id, set())
        highest = max((one.sequence for one in heard), default=0)
        last = {one.status for one in heard if one.sequence == highest}
        if last != {row.status.public}:
            said = " and ".join(sorted(last)) or "nothing"
            found.append(Finding(f"{row.message_id} is {row.status.public}, its webhooks say {said}", row.number))
    return found


def undelivered(listener: Listener) -> list[Finding]:
    """Events that never came, all but those of messages; and whatever still waits."""
    bulk = Campaign.objects.filter(kind=CampaignKind.BULK, mode=Mode.LIVE).values_list("bulk_id", flat=True)
    found = [Finding(f"nobody was told that {bulk_id} is completed") for bulk_id in set(bulk) - listener.completed]
    stuck = WebhookDelivery.objects.exclude(state=WebhookState.DELIVERED)
    return found + [Finding(f"webhook {one} is {one.state} after {one.attempt_count} tries") for one in stuck]
