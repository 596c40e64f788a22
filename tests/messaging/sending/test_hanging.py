"""A gateway that does not answer holds up its own messages and nobody else's; two real servers, one of which hangs."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from campaigns.choices import CampaignKind
from messaging.choices import AttemptState, BatchState, GatewayKind, Lane
from messaging.gateways import registry, transport
from messaging.gateways.base import GatewayError, NotBegun, NotSent, OutgoingMessage, SubmitAnswer, Unknown
from messaging.gateways.fanout import submit_each
from messaging.gateways.transport import Transport
from messaging.models import Attempt, Batch, Gateway, Route
from messaging.routing import router, throttle
from messaging.routing.throttle import Outcome
from messaging.sending import dispatch, fair_queue, leases, unrouted
from messaging.sending.capacity import Capacity, Free
from messaging.sending.expansion import expand_ready
from messaging.sending.submit import Call, Result
from smsapp.core import clock
from tests.support.factories import AccountFactory, in_use, make_campaign
from tests.support.pipeline.rounds import eventually
from tests.support.servers.gateways import RawServer, answering, raw_server
from tests.support.together import together
from uploads.audiences import audience_from_numbers

pytestmark = pytest.mark.django_db

PATIENCE = 8.0  # seconds until a server that waits for something gives up
SLOTS = 8
PREFIXES = {"hanging": "49", "healthy": "44"}
TAKEN = answering(200)


@dataclass
class Hanging:
    """What the server that hangs does: it answers once `may_answer` is set, and notes whether that came in time."""

    server: RawServer = field(default_factory=RawServer)
    may_answer: threading.Event = field(default_factory=threading.Event)
    in_time: list[bool] = field(default_factory=list)

    def behave(self, connection: socket.socket, request: bytes) -> None:
        self.in_time.append(self.may_answer.wait(PATIENCE))
        TAKEN(connection, request)


@pytest.fixture(autouse=True)
def calls_that_may_hang(settings: Any) -> Iterator[None]:
    settings.GATEWAYS_READ_EVERY, settings.PUBLIC_URL = 0.0, ""
    settings.GATEWAY_TIMEOUT, settings.GATEWAY_CALLS_IN_FLIGHT = 2 * PATIENCE, SLOTS
    settings.BATCH_SIZE = 1
    registry.reset()
    router.forget()
    yield
    registry.reset()
    router.forget()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    kept = Hanging()
    with raw_server(kept.behave) as server:
        kept.server = server
        set_up("hanging", server.url)
        yield kept
        kept.may_answer.set()


@pytest.fixture
def healthy(hanging: Hanging) -> Iterator[RawServer]:
    with raw_server(TAKEN) as server:
        set_up("healthy", server.url)
        yield server


def set_up(name: str, url: str, **values: Any) -> None:
    row = Gateway(
        name=name, kind=GatewayKind.HTTP, rules={"url": url, "body": {"to": "{to}", "text": "{text}"}}, **in_use()
    )
    for column, value in values.items():
        setattr(row, column, value)
    row.save()
    Route.objects.create(gateway=row, prefix=PREFIXES.get(name, ""))


def send_to(*names: str) -> None:
    """A single send to numbers that go to these gateways, a batch for each."""
    account = AccountFactory()
    phones = {"hanging": "+4915112%05d", "healthy": "+4477009%05d"}
    numbers = [(place, phones[name] % place) for place, name in enumerate(names, 1)]
    make_campaign(account, audience=audience_from_numbers(account, numbers), kind=CampaignKind.SINGLE)
    expand_ready()


def opens_when(condition: Callable[[], bool], event: threading.Event) -> None:
    def watch() -> None:
        stop_at = time.monotonic() + 4 * PATIENCE
        while not condition() and time.monotonic() < stop_at:
            time.sleep(0.01)
        event.set()

    threading.Thread(target=watch, daemon=True).start()


def test_single_sends_leave_beside_calls_that_hang(hanging: Hanging, healthy: RawServer) -> None:
    send_to(*["hanging"] * SLOTS, *["healthy"] * 5)
    opens_when(lambda: len(healthy.requests) == 5, hanging.may_answer)
    assert dispatch.dispatch_ready(Lane.SINGLES, seconds=30) == SLOTS + 5
    assert hanging.in_time == [True] * SLOTS, "the healthy gateway was called only after the calls that hung"


def test_what_had_no_road_leaves_beside_calls_that_hang(hanging: Hanging, healthy: RawServer) -> None:
    send_to(*["hanging"] * SLOTS, *["healthy"] * 2)
    Batch.objects.filter(gateway="healthy").update(gateway="", state=BatchState.DEFERRED)
    assert unrouted.look(clock.now()) == 2
    assert fair_queue.requeue() == 2
    opens_when(lambda: len(healthy.requests) == 2, hanging.may_answer)
    assert dispatch.dispatch_ready(Lane.SINGLES, seconds=30) == SLOTS + 2
    assert hanging.in_time == [True] * SLOTS
    healthy_ones = Batch.objects.filter(gateway="healthy")
    assert set(healthy_ones.values_list("was_moved", flat=True)) == {False}
    assert all("(+44)" in note for note in healthy_ones.values_list("route_note", flat=True))


def test_a_gateway_that_hangs_has_its_own_slots_and_no_more(hanging: Hanging, healthy: RawServer) -> None:
    most: list[int] = []
    send_to(*["hanging"] * 3 * SLOTS, *["healthy"] * 2 * SLOTS)

    def are_through() -> bool:
        most.append(len(hanging.server.requests))
        return len(healthy.requests) == 2 * SLOTS

    opens_when(are_through, hanging.may_answer)
    dispatch.dispatch_ready(Lane.SINGLES, seconds=30)
    assert max(most) == SLOTS
    assert hanging.in_time == [True] * 3 * SLOTS


def test_what_waits_for_a_gateway_that_hangs_takes_nobodys_place(hanging: Hanging, healthy: RawServer) -> None:
    send_to(*["hanging"] * 5, *["healthy"] * 3)
    capacity = Capacity({"hanging": Free(1, 32), "healthy": Free(2, 32)})
    assert [batch.gateway for batch in leases.lease(Lane.SINGLES, 2, capacity)] == ["hanging", "healthy", "healthy"]


def test_a_batch_under_suspicion_that_hangs_holds_up_nobody(hanging: Hanging, healthy: RawServer) -> None:
    send_to("hanging", *["healthy"] * 3)
    Batch.objects.filter(gateway="hanging").update(lease_count=1)
    opens_when(lambda: len(healthy.requests) == 3, hanging.may_answer)
    dispatch.dispatch_ready(Lane.SINGLES, seconds=30)
    assert hanging.in_time == [True]


def test_batches_under_suspicion_are_begun_one_at_a_time(hanging: Hanging, healthy: RawServer) -> None:
    send_to("hanging", *["healthy"] * 3)
    Batch.objects.update(lease_count=1)
    threading.Timer(1.5, hanging.may_answer.set).start()
    dispatch.dispatch_ready(Lane.SINGLES, seconds=30)
    assert Attempt.objects.order_by("pk").values_list("gateway", flat=True)[0] == "hanging"
    spans = list(Attempt.objects.order_by("pk").values_list("started_at", "finished_at"))
    assert all(ended <= began for (_, ended), (began, _) in pairwise(spans))


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_what_comes_in_while_every_worker_has_a_hanging_call_leaves_at_once(
    hanging: Hanging, healthy: RawServer
) -> None:
    """The time of both tasks is over by then."""
    send_to("hanging", "hanging")

    def work() -> None:
        dispatch.dispatch_ready(Lane.SINGLES, seconds=0.2)

    with together(work, work):
        try:
            eventually(lambda: len(hanging.server.requests) == 2, lambda: None)
            time.sleep(1.0)
            send_to("healthy", "healthy", "hanging")
            eventually(lambda: len(healthy.requests) == 2, lambda: None, seconds=PATIENCE / 2)
            assert not hanging.in_time
        finally:
            hanging.may_answer.set()
    assert len(hanging.server.requests) == 2, "nothing more is begun with a gateway that hangs"
    assert Batch.objects.get(gateway="hanging", state=BatchState.READY).lease_epoch == 0


# --- connections -----------------------------------------------------------------------------------------------------


@dataclass
class Slow:
    """Takes a while for each answer; how many requests it had at the same time, at most."""

    seconds: float
    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def behave(self, connection: socket.socket, request: bytes) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
        TAKEN(connection, request)


def test_a_slow_gateway_with_a_request_for_each_message_is_not_taken_for_down(settings: Any) -> None:
    """More calls in flight than there are connections, each for longer than a connection is waited for."""
    settings.BATCH_SIZE, settings.GATEWAY_CONNECT_TIMEOUT = 10, 0.5
    slow = Slow(1.0)
    with raw_server(slow.behave) as server:
        set_up("slow", server.url)
        campaign = make_campaign(count=80)
        expand_ready()
        dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=30)
    campaign.refresh_from_db()
    assert (campaign.sent, len(server.requests)) == (80, 80)
    assert set(Attempt.objects.values_list("state", "message_count")) == {(AttemptState.ANSWERED, 10)}
    assert 10 < slow.most <= transport.MAX_CONNECTIONS
    assert set(Batch.objects.values_list("retry_count", "was_moved")) == {(0, False)}


def test_a_call_fits_the_connections_that_there_are() -> None:
    set_up("wide", "http://127.0.0.1:9", max_batch=500)
    assert registry.policy_of("wide").max_batch == transport.MAX_CONNECTIONS
    assert registry.policy_of("wide").connections(7) == 7
    assert registry.policy_of("simulator").connections(1000) == 1


def test_a_full_pool_and_a_late_beginning_say_nothing_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_CONNECTIONS", 1)
    answer = threading.Event()

    def hold(connection: socket.socket, request: bytes) -> None:
        answer.wait(PATIENCE)
        TAKEN(connection, request)

    with raw_server(hold) as server:
        used = Transport(server.url, {}, connect_timeout=0.2, timeout=PATIENCE)
        first = threading.Thread(target=used.post, args=("/", b""))
        first.start()
        eventually(lambda: bool(server.requests), lambda: None)
        with pytest.raises(NotBegun):
            used.post("/", b"")
        answer.set()
        first.join(PATIENCE)
        with pytest.raises(NotBegun):
            used.post("/", b"", begin_before=time.monotonic() - 1)
        assert len(server.requests) == 1
        used.close()


def test_an_address_where_nobody_listens_says_that_it_is_down() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        closed = Transport(f"http://127.0.0.1:{reserved.getsockname()[1]}", {}, connect_timeout=1.0)
        with pytest.raises(NotSent) as error:
            closed.post("/", b"", begin_before=time.monotonic() + 60)
    assert throttle.outcome_of(error.value) is Outcome.DOWN


@pytest.mark.parametrize(
    ("endings", "outcome", "not_sent"),
    [
        ([NotBegun("full"), NotBegun("full")], Outcome.UNUSED, 2),
        ([NotBegun("full"), None], Outcome.ANSWERED, 1),
        ([NotBegun("full"), NotSent("down"), None], Outcome.DOWN, 2),
        ([NotBegun("full"), Unknown("lost")], Outcome.LOST, 1),
        ([NotBegun("full"), NotSent("fast", 429, throttled=True)], Outcome.THROTTLED, 2),
    ],
)
def test_what_several_requests_say_of_the_gateway(
    endings: list[GatewayError | None], outcome: Outcome, not_sent: int
) -> None:
    messages = [OutgoingMessage(str(place), "+491511200001", "Hi") for place in range(len(endings))]

    def send(message: OutgoingMessage) -> SubmitAnswer:
        ending = endings[int(message.message_id)]
        if ending is not None:
            raise ending
        return SubmitAnswer(200, accepted=[message.message_id])

    call = Call(None, None, None, None, None, range(len(endings)))  # type: ignore[arg-type]
    try:
        result = Result(call, answer=submit_each(messages, send))
    except GatewayError as error:
        result = Result(call, error=error)
    assert (result.outcome, result.not_sent) == (outcome, not_sent)
