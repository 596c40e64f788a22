"""The raw limit: what PostgreSQL and HTTP cost for the very same rows, when nothing else is done.

One client, one step after the other, on the server that the product has just used:

    copy       COPY of prebuilt bytes, the messages of the product's last campaign, into a table with their columns,
               room for updates (fillfactor 50) and a primary key
    http       prebuilt bodies of up to 1000 messages, as the product sends them, IN_FLIGHT at once over plain
               asyncio connections, to a stub that answers in 50 ms
    accepted   one UPDATE for each range of 1000 ids, a transaction each
    delivered  one UPDATE from arrays of 1000 ids, statuses and times, a transaction each

`http` goes to a stub since the simulator, which writes every message down, would be most of what is measured. The same
bodies to a simulator are measured beside it, and are not in the sum.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.conf import settings

from messaging.choices import MessageStatus
from messaging.gateways.base import OutgoingMessage, Submission
from messaging.gateways.infobip import request_body
from messaging.ids import public_id
from messaging.message_text import renderer_for
from messaging.models import Message
from tests.benchmarks.path import Journey
from tests.benchmarks.processes import cpu_seconds
from tests.benchmarks.stand import Stand
from tests.benchmarks.stub import length_of

IN_FLIGHT = 32
AT_ONCE = 1000
COLUMNS = "id, campaign_id, row, phone_number, variables, status, reason, detail, segment_count"
TABLE = "raw_message"
CREATE = f"""
    DROP TABLE IF EXISTS {TABLE};
    CREATE TABLE {TABLE} (LIKE messaging_message INCLUDING DEFAULTS) WITH (fillfactor = 50);
    ALTER TABLE {TABLE} ADD PRIMARY KEY (id);
"""
ACCEPT = f"UPDATE {TABLE} SET status = %s, sent_at = %s WHERE id BETWEEN %s AND %s"
DELIVER = f"""
    UPDATE {TABLE} m SET status = v.status, done_at = v.done_at
    FROM unnest(%s::bigint[], %s::smallint[], %s::timestamptz[]) AS v(id, status, done_at) WHERE m.id = v.id
"""


@dataclass(frozen=True)
class Limit:
    """Seconds for `count` messages; `cpu`: seconds of processor time of client and database, without the stub."""

    count: int
    cpu: float
    copy: float
    http: float
    accepted: float
    delivered: float
    http_to_simulator: float

    @property
    def seconds(self) -> float:
        return self.copy + self.http + self.accepted + self.delivered

    @property
    def cpu_us(self) -> float:
        return 1e6 * self.cpu / self.count

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    @property
    def per_second_with_simulator(self) -> float:
        return self.count / (self.seconds - self.http + self.http_to_simulator)


class RawLimit:
    """Everything is built beforehand from the messages of a campaign that has gone all the way."""

    def __init__(self, stand: Stand, journey: Journey, name: str) -> None:
        self._stand = stand
        with stand.connect() as connection:
            self._copied, self._ids = _copy_bytes(connection, journey.campaign.pk)
        self._bodies = _bodies(stand, journey, name)

    def measure(self) -> Limit:
        http_to_simulator = self._http(self._stand.provider_port)
        with self._stand.connect() as connection:
            connection.execute(CREATE)
            before = self._cpu()
            http = self._http(self._stand.stub_port)
            copy = _timed(lambda: self._copy(connection))
            accepted = _timed(lambda: self._accept(connection))
            delivered = _timed(lambda: self._deliver(connection))
            cpu = self._cpu() - before
            connection.execute(f"DROP TABLE {TABLE}")
        return Limit(len(self._ids), cpu, copy, http, accepted, delivered, http_to_simulator)

    def _cpu(self) -> float:
        return time.process_time() + cpu_seconds(self._stand.supervisor.children)["postgres"]

    def _copy(self, connection: "psycopg.Connection[Any]") -> None:
        with connection.cursor().copy(f"COPY {TABLE} ({COLUMNS}) FROM STDIN") as copy:
            copy.write(self._copied)

    def _accept(self, connection: "psycopg.Connection[Any]") -> None:
        now = datetime.now(UTC)
        for ids in _slices(self._ids):
            connection.execute(ACCEPT, [int(MessageStatus.SENT), now, ids[0], ids[-1]], prepare=True)

    def _deliver(self, connection: "psycopg.Connection[Any]") -> None:
        now = datetime.now(UTC)
        for ids in _slices(self._ids):
            values = [ids, [int(MessageStatus.DELIVERED)] * len(ids), [now] * len(ids)]
            connection.execute(DELIVER, values, prepare=True)

    def _http(self, port: int) -> float:
        return _timed(lambda: asyncio.run(_post_all(port, self._bodies)))


def _copy_bytes(connection: "psycopg.Connection[Any]", campaign_id: int) -> tuple[bytes, list[int]]:
    fresh = COLUMNS.replace("status", str(int(MessageStatus.QUEUED))).replace("reason, detail", "'', ''")
    wanted = f"FROM messaging_message WHERE campaign_id = {campaign_id} ORDER BY id"
    with connection.cursor().copy(f"COPY (SELECT {fresh} {wanted}) TO STDOUT") as copy:
        copied = b"".join(copy)
    return copied, [row[0] for row in connection.execute(f"SELECT id {wanted}").fetchall()]


def _bodies(stand: Stand, journey: Journey, name: str) -> list[bytes]:
    """Whole requests, as the product would make them, but for ids that no simulator has seen."""
    campaign = journey.campaign
    render = renderer_for(campaign)
    messages = Message.objects.filter(campaign=campaign).order_by("pk").values_list("pk", "phone_number", "variables")
    outgoing = [
        OutgoingMessage(f"{name}-{public_id(pk)}", phone, render(values, phone)) for pk, phone, values in messages
    ]
    report_url = f"{stand.url}/nowhere/"
    return [
        _request(request_body(Submission(f"{name}-{place}", part, campaign.sender_id, report_url)))
        for place, part in enumerate(_slices(outgoing))
    ]


def _request(body: bytes) -> bytes:
    lines = (
        "POST /sms/3/messages HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: App {settings.SIMULATOR_API_KEY}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + body


async def _post_all(port: int, requests: Sequence[bytes]) -> None:
    waiting = list(requests)

    async def post_some() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        while waiting:
            writer.write(waiting.pop())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(head)
            await reader.readexactly(length_of(head))
        writer.close()

    await asyncio.gather(*(post_some() for _ in range(min(IN_FLIGHT, len(requests)))))


def _timed(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def _slices(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), AT_ONCE):
        yield values[start : start + AT_ONCE]
