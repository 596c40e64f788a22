"""One pace for all processes through a real Redis server, and what each of them does without it."""

import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.core.cache import caches

from messaging.gateways.base import NotBegun, NotSent, OutgoingMessage, Refused, Submission, Unknown
from messaging.routing import throttle, throttle_state
from messaging.routing.throttle import Outcome, View
from messaging.routing.throttle_state import Grant
from tests.support.servers.simulators import RunningSimulator, running_simulator

GATEWAY = "infobip"
SIMULATOR = "simulator"


@pytest.fixture(autouse=True)
def own_keys(settings: Any) -> Iterator[None]:
    settings.REDIS_KEY_PREFIX = f"{settings.REDIS_KEY_PREFIX}-{secrets.token_hex(4)}"
    throttle.reset()
    yield
    throttle.reset()


@pytest.fixture
def shared(redis_client: redis.Redis) -> Iterator[redis.Redis]:
    yield redis_client
    redis_client.delete(throttle._key(GATEWAY), throttle._key(SIMULATOR))


@pytest.fixture
def lose_redis(settings: Any) -> Iterator[Callable[[], None]]:
    """Call it, and Redis is a closed port."""
    configured = django_settings.CACHES

    def lose() -> None:
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            port = reserved.getsockname()[1]
        caches.close_all()
        settings.CACHES = {"default": configured["default"] | {"LOCATION": f"redis://127.0.0.1:{port}/0"}}

    yield lose
    caches.close_all()
    settings.CACHES = configured


def seconds(client: redis.Redis) -> float:
    return throttle._seconds(client.time())


def push_back(retry_after: float | None = None, messages: int = 100) -> None:
    grant = throttle.take(GATEWAY, messages)
    throttle.report_outcome(GATEWAY, grant, Outcome.THROTTLED, retry_after)


def trip() -> None:
    for _ in range(django_settings.BREAKER_CALLS):
        throttle.report_outcome(GATEWAY, Grant(1, 0.0), Outcome.DOWN)


def test_processes_that_take_at_once_get_no_more_than_the_bucket_holds(settings: Any, shared: redis.Redis) -> None:
    settings.GATEWAY_RATE = 300.0
    taken, begin = [], seconds(shared)

    def process() -> None:
        view = View(GATEWAY)  # knows of the others only through Redis
        while seconds(shared) < begin + 1.0:
            taken.append(view.take(7).granted)

    threads = [threading.Thread(target=process) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    most = 300.0 * (1 + seconds(shared) - begin)
    assert 300 <= sum(taken) <= most
    stored = throttle._decoded(shared.get(throttle._key(GATEWAY)))
    assert stored.tokens + sum(taken) <= most


def test_real_processes_share_one_bucket(settings: Any, shared: redis.Redis) -> None:
    code = (
        "import django; django.setup(); from django.conf import settings; from messaging.routing import throttle;"
        f"settings.REDIS_KEY_PREFIX = {settings.REDIS_KEY_PREFIX!r}; settings.GATEWAY_RATE = 0.001;"
        f"print(sum(throttle.take({GATEWAY!r}, 1).granted for _ in range(50)))"
    )
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(process.communicate(timeout=60)[0]) for process in processes) == 1


def test_a_throttling_told_by_one_process_closes_the_gateway_for_another(shared: redis.Redis) -> None:
    assert throttle.may_call(GATEWAY, 5)
    push_back(retry_after=30)
    grant = View(GATEWAY).look(5)
    assert not grant
    assert 25 < grant.wait <= 30
    assert not throttle.may_call(GATEWAY)


def test_the_ceiling_is_the_gateways_own(settings: Any, shared: redis.Redis) -> None:
    settings.GATEWAY_RATE, settings.SIMULATOR_RATE = 10.0, 0.0
    assert throttle.take(GATEWAY, 1000).granted == 10
    assert throttle.take(SIMULATOR, 1000).granted == 1000


def test_a_gateway_that_nothing_limits_is_asked_about_once_a_second(
    shared: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "FROM_MEMORY", 3600.0)
    throttle.reset()
    before = shared.info("commandstats")
    for _ in range(100):
        assert throttle.may_call(GATEWAY, 10)
        throttle.report_outcome(GATEWAY, throttle.take(GATEWAY, 10), Outcome.ANSWERED)
    after = shared.info("commandstats")
    assert throttle._views[GATEWAY]._granted == 990
    assert after["cmdstat_exec"]["calls"] - before.get("cmdstat_exec", {"calls": 0})["calls"] < 50


def test_what_was_gathered_is_told_with_the_next_take(shared: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    view = View(GATEWAY)
    for _ in range(5):
        view.report_outcome(view.take(10), Outcome.ANSWERED, None)
    monkeypatch.setattr(throttle, "FROM_MEMORY", -1.0)
    view.take(10)
    stored = throttle._decoded(shared.get(throttle._key(GATEWAY)))
    assert sum(part.calls for part in stored.slices) == 5
    assert max(part.busiest for part in stored.slices) in (50, 60)  # told within one second, or two


def test_of_all_processes_one_makes_the_probe(settings: Any, shared: redis.Redis) -> None:
    settings.BREAKER_COOL_DOWN = 0.001
    trip()
    views = [View(GATEWAY) for _ in range(4)]
    grants: list[Grant] = []
    while not any(grants):
        threads = [threading.Thread(target=lambda view=view: grants.append(view.take(100))) for view in views]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert sum(grant.granted for grant in grants) == 1
    probe = next(filter(None, grants))
    views[0].report_outcome(probe, Outcome.UNUSED, None)
    assert views[1].look(100).granted == 1
    probe = views[1].take(100)
    views[1].report_outcome(probe, Outcome.ANSWERED, None)
    assert throttle._decoded(shared.get(throttle._key(GATEWAY))).cool_down == 0


def test_without_redis_each_process_keeps_to_its_share(settings: Any, lose_redis: Callable[[], None]) -> None:
    settings.GATEWAY_RATE, settings.SENDING_PROCESSES = 80.0, 4
    lose_redis()
    assert View(GATEWAY).take(1000).granted == 20
    assert throttle.take(GATEWAY, 1000).granted == 20
    assert throttle.take(GATEWAY, 1000).granted < 20
    assert throttle.may_call(GATEWAY, 1000).granted < 20


def test_without_redis_and_without_a_ceiling_nobody_is_unlimited(settings: Any, lose_redis: Callable[[], None]) -> None:
    settings.FALLBACK_RATE = 30.0
    lose_redis()
    assert throttle.take(GATEWAY, 1000).granted == 30
    assert throttle.take(GATEWAY, 1000).granted < 30


def test_without_redis_what_was_last_seen_still_holds(
    settings: Any, shared: redis.Redis, lose_redis: Callable[[], None]
) -> None:
    push_back(retry_after=30)
    lose_redis()
    assert not throttle.take(GATEWAY, 10)
    assert 20 < throttle.may_call(GATEWAY, 10).wait <= 30
    assert throttle._views[GATEWAY]._own.rate == pytest.approx(70 / settings.SENDING_PROCESSES)


def test_without_redis_429s_and_outages_count_too(settings: Any, lose_redis: Callable[[], None]) -> None:
    lose_redis()
    push_back(retry_after=20)
    assert 15 < throttle.may_call(GATEWAY).wait <= 20
    throttle.reset()
    trip()
    assert not throttle.may_call(GATEWAY)


def test_redis_is_left_alone_for_a_while_after_a_failure_and_then_shared_again(
    settings: Any, shared: redis.Redis, lose_redis: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GATEWAY_RATE = 80.0
    configured = django_settings.CACHES
    lose_redis()
    assert throttle.take(GATEWAY, 1000).granted == 20
    caches.close_all()
    settings.CACHES = configured
    assert throttle.take(GATEWAY, 1000).granted < 20
    assert shared.get(throttle._key(GATEWAY)) is None
    monkeypatch.setattr(throttle, "LOST_FOR", 0.0)
    assert throttle.take(GATEWAY, 1000).granted == 80
    assert View(GATEWAY).take(1000).granted < 80


def test_a_redis_that_hangs_costs_its_timeout_once(
    settings: Any, lose_redis: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "LOST_FOR", 3600.0)
    configured = django_settings.CACHES["default"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = configured["OPTIONS"] | {"SOCKET_TIMEOUT": 0.05, "SOCKET_CONNECT_TIMEOUT": 0.05}
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        caches.close_all()
        settings.CACHES = {"default": configured | {"LOCATION": url, "OPTIONS": options}}
        for _ in range(20):
            throttle.take(GATEWAY, 1)
        silent.settimeout(1)
        silent.accept()[0].close()
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()


@pytest.mark.parametrize("stored", [b"", b"no json", b"[]", b"{}", b'{"slices": [{"x": 1}]}', b'{"slices": 3}'])
def test_a_state_of_another_version_is_forgotten(shared: redis.Redis, stored: bytes) -> None:
    shared.set(throttle._key(GATEWAY), stored, ex=60)
    assert throttle.take(GATEWAY, 10).granted == 10


def test_a_state_is_read_as_it_was_written() -> None:
    grant = Grant(100, 1000.0)
    state = throttle_state.throttled(
        throttle_state.take(throttle_state.Pace(), throttle_state.Limits(), 1000.0, 100)[0],
        throttle_state.Limits(),
        1000.5,
        grant,
        2.0,
    )
    assert state.slices
    assert throttle._decoded(throttle._encoded(state)) == state


def test_a_state_expires_after_longer_than_any_closing(shared: redis.Redis) -> None:
    push_back()
    assert throttle_state.MAX_CLOSED + 60 < shared.ttl(throttle._key(GATEWAY)) <= 3600


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, Outcome.ANSWERED),
        (Refused("", 401, is_account=True), Outcome.ANSWERED),
        (NotSent("", 429, throttled=True), Outcome.THROTTLED),
        (NotSent("no connection"), Outcome.DOWN),
        (NotBegun("no connection was free"), Outcome.UNUSED),
        (Unknown("", 503), Outcome.LOST),
    ],
)
def test_what_a_call_says_of_the_gateway(error: Exception | None, outcome: Outcome) -> None:
    assert throttle.outcome_of(error) is outcome


def send(simulator: RunningSimulator, count: int, reference: str) -> NotSent | None:
    messages = [OutgoingMessage(f"{reference}-{n}", f"+4479{n:08d}", "Hello") for n in range(count)]
    try:
        simulator.gateway().submit(Submission(reference, messages))
    except NotSent as error:
        return error
    return None


def test_a_simulator_with_a_rate_limit_refuses_what_exceeds_it_and_takes_nothing_of_it() -> None:
    with running_simulator(rejected=0, rate_limit=50, rate_limit_retry_after=3) as simulator:
        assert send(simulator, 40, "a") is None
        refused = send(simulator, 51, "b")
        assert refused is not None
        assert (refused.throttled, refused.retry_after) == (True, 3.0)
        assert len(simulator.accepted_ids()) == 40
        simulator.set_faults(rate_limit=0)
        assert send(simulator, 51, "c") is None


def test_a_simulator_without_a_time_for_it_tells_no_retry_after() -> None:
    with running_simulator(rate_limit=50) as simulator:
        refused = send(simulator, 51, "a")
    assert refused is not None
    assert (refused.throttled, refused.retry_after) == (True, None)


def test_a_real_gateways_limit_is_found_through_real_calls(shared: redis.Redis) -> None:
    """From far above it to far more calls in a row than it would take at that pace. How much of the limit is used is
    proven in invented time."""
    end, outcomes = time.monotonic() + 60, []
    with running_simulator(rate_limit=50, undelivered=0, rejected=0) as simulator:
        while time.monotonic() < end and outcomes[-30:] != [Outcome.ANSWERED] * 30:
            grant = throttle.take(GATEWAY, 100)
            if not grant:
                time.sleep(grant.wait)
                continue
            error = send(simulator, grant.granted, f"call{len(outcomes)}")
            outcomes.append(throttle.outcome_of(error))
            throttle.report_outcome(GATEWAY, grant, outcomes[-1], error.retry_after if error else None)
    assert outcomes[0] is Outcome.THROTTLED
    assert outcomes[-30:] == [Outcome.ANSWERED] * 30
    assert throttle._decoded(shared.get(throttle._key(GATEWAY))).rate < 100
