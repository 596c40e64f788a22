"""Customers' programs that go on while the web server is killed under them.

Most name each call with an Idempotency-Key and repeat it until they know what became of it; on some they hang up, and
some answers that they have they ask for once more. One never asks twice: what a call without an answer has done is for
the oracle to find out.
"""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import httpx2

from smsapp.core.exceptions import IdempotencyInProgress
from tests.chaos.answers import Request, Told
from tests.chaos.hanging import COUNTRY
from tests.chaos.oracle import Finding
from tests.data.make_customers import number

SENDERS = 2  # programs that send singles and read; one more uploads and starts campaigns, and one sends in vain
PATIENCE = 30.0  # seconds for an answer: longer than a request waits for its turn to write
WAIT = (0.1, 0.5)  # seconds between two requests
SINGLE_TEXT = "Your code is 482913."
LIST_TEXT = "Hello, tomorrow we are closed. Your bakery."
UPLOAD_TEXT = "Hello {name}, your table is ready."
SINGLE_NUMBERS, LIST_NUMBERS, FILE_ROWS = 3, 30, 45
SELDOM = 20  # waits
UPLOAD_TIME = 60.0  # seconds for a file to be read; then its sender has no use for it any more
REPEAT_TIME = 90.0  # seconds in which a call is repeated
ASKED_AGAIN = 0.2  # share of the answers
HURRIED = 0.15  # share of the calls that are hung up on before their answer
HURRY = (0.005, 0.1)  # seconds until then
KEYLESS = 1  # place of the program that never asks twice
READING = ("UPLOADED", "PROCESSING")


class Reply(NamedTuple):
    """`status` 0: none came; `cause` then says why, else it is the code of an error. `is_replay`: of a call before."""

    status: int
    data: dict[str, Any]
    cause: str
    is_replay: bool = False

    @property
    def told(self) -> Told:
        if self.cause == IdempotencyInProgress.code:
            return Told.UNKNOWN
        if 200 <= self.status < 300:
            return Told.ACCEPTED
        return Told.REFUSED if 400 <= self.status < 500 else Told.UNKNOWN

    @property
    def answer(self) -> str:
        return f"{self.status} {self.cause}".strip() if self.status else self.cause


class Record:
    """What all programs asked for and heard."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.surprises: list[Finding] = []
        self.answers: Counter[str] = Counter()
        self.repeats = {"unanswered": 0, "answered": 0, "replayed": 0}
        self._lock = threading.Lock()

    def heard(self, what: str, reply: Reply) -> None:
        with self._lock:
            self.answers[f"{what} {reply.status or 'no answer'}"] += 1

    def repeated(self, reply: Reply, had_answer: bool) -> None:
        """A call was asked for again, with this answer now."""
        with self._lock:
            self.repeats["answered" if had_answer else "unanswered"] += 1
            self.repeats["replayed"] += reply.is_replay

    def asked(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def surprise(self, text: str) -> None:
        with self._lock:
            self.surprises.append(Finding(text))


class Line:
    """One program's line to the web server. `keys` for its calls, if they are to be repeated."""

    def __init__(
        self, connection: httpx2.Client, sender: str, record: Record, chance: random.Random, keys: Iterator[str] | None
    ) -> None:
        self._connection, self._sender, self._record, self.chance = connection, sender, record, chance
        self._keys = keys

    def send(self, path: str, numbers: Sequence[str], **fields: Any) -> Reply:
        """A request to send to these numbers, which are named in it unless an upload is."""
        if "upload_id" not in fields:
            fields["phone_numbers"] = [f"+{phone}" for phone in numbers]
        reply = self._order(path, json={"sender_id": self._sender} | fields)
        ids = {shown["to"].removeprefix("+"): shown["message_id"] for shown in reply.data.get("messages", ())}
        bulk_id = reply.data.get("bulk_id", "")
        self._record.asked(Request(path, tuple(numbers), reply.told, reply.answer, bulk_id, ids))
        return reply

    def send_file(self, numbers: Sequence[str]) -> str:
        """A file, and a campaign from it as soon as it was read; the upload's id, empty if that was not given."""
        rows = "".join(f"Guest {place},+{phone}\n" for place, phone in enumerate(numbers, 1))
        reply = self._order("/files/upload", files={"file": ("guests.csv", f"name,phone\n{rows}", "text/csv")})
        if reply.told is Told.REFUSED:
            self._record.surprise(f"a file was refused with {reply.answer}")
        if reply.told is not Told.ACCEPTED:
            return ""
        upload_id = str(reply.data["upload_id"])
        if self._is_read(upload_id):
            self.send("/sms/bulk", numbers, message=UPLOAD_TEXT, upload_id=upload_id)
        return upload_id

    def read(self, path: str) -> dict[str, Any]:
        """What is there, empty without an answer. What was given to us must be there."""
        reply = self._ask("GET", path)
        if reply.told is Told.REFUSED:
            self._record.surprise(f"GET {path} was answered {reply.answer}")
        return reply.data

    def _is_read(self, upload_id: str) -> bool:
        deadline = time.monotonic() + UPLOAD_TIME
        status = READING[0]
        while status in READING and time.monotonic() < deadline:
            time.sleep(self.chance.uniform(*WAIT))
            status = self.read(f"/uploads/{upload_id}").get("status", status)
        return status == "READY"

    def _order(self, path: str, **content: Any) -> Reply:
        """Have something done: once, however often it has to be asked for."""
        if self._keys is None:
            return self._ask("POST", path, **content)
        content["headers"] = {"Idempotency-Key": next(self._keys)}
        deadline = time.monotonic() + REPEAT_TIME
        hurry = {"timeout": self.chance.uniform(*HURRY)} if self.chance.random() < HURRIED else {}
        reply = self._ask("POST", path, **content, **hurry)
        while reply.told is Told.UNKNOWN and time.monotonic() < deadline:
            reply = self._repeat(path, content, had_answer=False)
        if reply.told is Told.UNKNOWN:
            self._record.surprise(f"POST {path} was repeated in vain, with {reply.answer} at last")
        elif self.chance.random() < ASKED_AGAIN:
            again = self._repeat(path, content, had_answer=True)
            if again.told is not Told.UNKNOWN and (again.status, again.data) != (reply.status, reply.data):
                self._record.surprise(f"POST {path} was answered {reply}, and with the same key {again}")
        return reply

    def _repeat(self, path: str, content: dict[str, Any], had_answer: bool) -> Reply:
        time.sleep(self.chance.uniform(*WAIT))
        reply = self._ask("POST", path, **content)
        self._record.repeated(reply, had_answer)
        return reply

    def _ask(self, method: str, path: str, **content: Any) -> Reply:
        reply = self._reply(method, path, **content)
        shown = f"/{path.split('/')[1]}" if method == "GET" else path
        self._record.heard(f"{method} {shown}", reply)
        return reply

    def _reply(self, method: str, path: str, **content: Any) -> Reply:
        try:
            response = self._connection.request(method, path, **content)
        except httpx2.TransportError as error:
            return Reply(0, {}, type(error).__name__)
        try:
            body = response.json()
        except ValueError:
            return Reply(response.status_code, {}, "no JSON")
        is_replay = response.headers.get("Idempotency-Replayed") == "true"
        return Reply(response.status_code, body["data"] or {}, (body["error"] or {}).get("code", ""), is_replay)


class Clients:
    """`record` is complete after `stop`. They go on until `limit` single sends were accepted; their numbers begin with
    that of the customer `first`."""

    def __init__(self, url: str, api_key: str, sender: str, seed: int, first: int, limit: int) -> None:
        self._url, self._api_key, self._sender, self._seed, self._limit = url, api_key, sender, seed, limit
        self._numbers = ("".join(number(index, seed)) for index in itertools.count(first))
        self._numbers_lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.record = Record()

    def start(self) -> None:
        for place, program in enumerate([self._send_singles] * SENDERS + [self._send_bulk, self._send_in_vain]):
            thread = threading.Thread(target=self._run, args=(program, place), name=f"client {place}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, meanwhile: Callable[[], object]) -> None:
        """Let each finish what it does, and do something `meanwhile`, again and again."""
        self._stopping.set()
        deadline = time.monotonic() + UPLOAD_TIME + 2 * REPEAT_TIME + 2 * PATIENCE
        while any(thread.is_alive() for thread in self._threads) and time.monotonic() < deadline:
            meanwhile()
            time.sleep(WAIT[0])
        for thread in self._threads:
            if thread.is_alive():
                self.record.surprise(f"{thread.name} does not come to an end")

    def _run(self, program: Callable[[Line], Iterator[None]], place: int) -> None:
        chance = random.Random(f"client:{self._seed}:{place}")
        options = {"headers": {"X-API-Key": self._api_key}, "timeout": PATIENCE, "trust_env": False}
        with httpx2.Client(base_url=f"{self._url}/api/v1", **options) as connection:
            keys = None if place == KEYLESS else (f"client-{place}-{call}" for call in itertools.count())
            for _ in program(Line(connection, self._sender, self.record, chance, keys)):
                if self._stopping.wait(chance.uniform(*WAIT)):
                    break

    def _send_singles(self, line: Line) -> Iterator[None]:
        """Single sends, each of which is read back."""
        accepted = 0
        while accepted < self._limit // SENDERS:
            numbers = self._fresh_numbers(line.chance.randint(1, SINGLE_NUMBERS))
            reply = line.send("/sms/send", numbers, message=SINGLE_TEXT)
            yield
            if reply.told is Told.ACCEPTED:
                accepted += 1
                line.read(f"/campaigns/{reply.data['bulk_id']}")
                line.read(f"/sms/reports/{line.chance.choice(reply.data['messages'])['message_id']}")
                yield

    def _send_bulk(self, line: Line) -> Iterator[None]:
        """Files and lists in turn, after the first of each that came through less often."""
        while True:
            is_file_through = bool(line.send_file(self._fresh_numbers(FILE_ROWS)))
            yield
            is_list_through = line.send("/sms/bulk", self._fresh_numbers(LIST_NUMBERS), message=LIST_TEXT).status == 202
            for _ in range(SELDOM if is_file_through and is_list_through else 1):
                yield

    def _send_in_vain(self, line: Line) -> Iterator[None]:
        """Single sends to a gateway that hangs, so many that it always has some."""
        for place in range(self._limit):
            line.send("/sms/send", [f"{COUNTRY}61{self._seed % 1000:03}{place:04}"], message=SINGLE_TEXT)
            yield
            yield

    def _fresh_numbers(self, count: int) -> list[str]:
        with self._numbers_lock:
            return list(itertools.islice(self._numbers, count))
