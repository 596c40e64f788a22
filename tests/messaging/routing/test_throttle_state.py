"""The pace of a gateway in invented time: what may leave, after a 429, through an outage and after it."""

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.routing import throttle_state
from messaging.routing.throttle_state import Grant, Limits, Pace

START = 1_700_000_000.0
NO_LIMITS = Limits()


class SimulatedGateway(Protocol):
    def accepts(self, now: float, count: int) -> bool: ...


@dataclass
class BucketGateway:
    """Takes `limit` messages a second, and a second's worth at once."""

    limit: float
    tokens: float = 0.0
    at: float = -1.0

    def accepts(self, now: float, count: int) -> bool:
        self.tokens = min(self.limit, self.tokens + (now - self.at) * self.limit)
        self.at = now
        if count > self.tokens:
            return False
        self.tokens -= count
        return True


@dataclass
class StrictGateway:
    """Refuses a call with which it would have taken more than `limit` messages within any one second."""

    limit: float
    taken: deque[tuple[float, int]] = field(default_factory=deque)

    def accepts(self, now: float, count: int) -> bool:
        while self.taken and self.taken[0][0] <= now - 1:
            self.taken.popleft()
        if sum(count for _, count in self.taken) + count > self.limit:
            return False
        self.taken.append((now, count))
        return True


@dataclass
class Call:
    at: float
    grant: Grant
    outcome: str


def play(
    gateway: SimulatedGateway,
    limits: Limits,
    seconds: float,
    *,
    senders: int = 8,
    wanted: int = 100,
    down: tuple[float, float] = (0, 0),
    latency: float = 0.05,
) -> list[Call]:
    """Senders who always have something to send: they take, call for `latency` seconds, tell, and take again. The
    gateway is down between the two times `down`. Times of the calls count from 0."""
    current, calls = Pace(), []
    events: list[tuple[float, int, Call | None]] = [(n / 1000, n, None) for n in range(senders)]
    while events[0][0] < seconds:
        now, sender, call = heapq.heappop(events)
        if call is not None:
            current = tell(current, limits, START + now, call)
        current, grant = throttle_state.take(current, limits, START + now, wanted)
        if not grant:
            assert grant.wait > 0
            heapq.heappush(events, (now + grant.wait, sender, None))
        else:
            if down[0] <= now < down[1]:
                outcome = "down"
            else:
                outcome = "answered" if gateway.accepts(now, grant.granted) else "throttled"
            calls.append(Call(now, grant, outcome))
            heapq.heappush(events, (now + latency, sender, calls[-1]))
    return calls


def tell(current: Pace, limits: Limits, now: float, call: Call) -> Pace:
    if call.outcome == "down":
        return throttle_state.down(current, limits, now, call.grant)
    if call.outcome == "throttled":
        return throttle_state.throttled(current, limits, now, call.grant, None)
    return throttle_state.answered(current, limits, now, call.grant)


def messages(calls: list[Call], begin: float, end: float, outcome: str = "answered") -> int:
    return sum(call.grant.granted for call in calls if call.outcome == outcome and begin <= call.at < end)


def tripped(now: float = START, limits: Limits = NO_LIMITS) -> Pace:
    """A gateway that granted 200 messages in a second, a while before it went down."""
    current, grant = throttle_state.take(Pace(), limits, now - 20, 200)
    current = throttle_state.answered(current, limits, now - 20, grant)
    for _ in range(limits.breaker_calls):
        current = throttle_state.down(current, limits, now, grant)
    return current


takes = st.lists(st.tuples(st.floats(0, 2), st.integers(0, 300)), min_size=1, max_size=60)


@given(ceiling=st.floats(0.5, 200), takes=takes)
def test_no_second_holds_more_than_the_ceiling_and_the_burst(ceiling: float, takes: list[tuple[float, int]]) -> None:
    limits, now, current, granted = Limits(ceiling=ceiling), START, Pace(), []
    for pause, wanted in takes:
        now += pause
        current, grant = throttle_state.take(current, limits, now, wanted)
        assert 0 <= grant.granted <= wanted
        granted.append((now, grant.granted))
    for begin, _ in granted:
        within = sum(count for at, count in granted if begin <= at < begin + 1)
        assert within <= ceiling + max(1.0 + ceiling * throttle_state.RESERVE, ceiling) + 1e-3


@given(ceiling=st.floats(0.1, 1000), takes=takes, yields=st.booleans())
def test_whoever_waits_as_long_as_told_is_granted_something(
    ceiling: float, takes: list[tuple[float, int]], yields: bool
) -> None:
    limits, now, current = Limits(ceiling=ceiling), START, Pace()
    for _, wanted in takes:
        current, grant = throttle_state.take(current, limits, now, wanted, yields=yields)
        if wanted and not grant:
            now += grant.wait + 1e-6
            assert throttle_state.look(current, limits, now, wanted, yields=yields)
            current, grant = throttle_state.take(current, limits, now, wanted, yields=yields)
            assert grant


@pytest.mark.parametrize("ceiling", [1.0, 3.0, 10.0, 200.0])
def test_a_campaign_leaves_room_for_single_sends_and_uses_the_rest(ceiling: float) -> None:
    """It takes all that it can get, and first at every moment; single sends come every few seconds, and look four times
    a second."""
    limits, current, crowd, waits, waiting_since = Limits(ceiling=ceiling), Pace(), 0, [], None
    for hundredth in range(100 * 60):
        now = START + hundredth / 100
        current, grant = throttle_state.take(current, limits, now, 100, yields=True)
        crowd += grant.granted
        if hundredth % 300 == 0:
            waiting_since = now
        if waiting_since is not None and hundredth % 25 == 0:
            current, grant = throttle_state.take(current, limits, now, 1)
            if grant:
                waits.append(now - waiting_since)
                waiting_since = None
    assert len(waits) == 20
    assert max(waits) <= 1.0 / ceiling + 0.25
    assert crowd >= 0.95 * (60 * ceiling - 20)


def test_one_message_is_granted_before_a_crowd() -> None:
    limits = Limits(ceiling=100)
    current, _ = throttle_state.take(Pace(), limits, START, 100)
    assert not throttle_state.look(current, limits, START + 0.015, 100)
    assert throttle_state.look(current, limits, START + 0.015, 1).granted == 1


def test_a_full_ceiling_is_used() -> None:
    calls = play(BucketGateway(1e9), Limits(ceiling=50), 60)
    assert messages(calls, 10, 60) == pytest.approx(50 * 50, rel=0.01)


@pytest.mark.parametrize(("limit", "senders", "wanted"), [(50, 8, 100), (50, 1, 500), (500, 16, 1000), (5, 16, 1000)])
def test_a_limit_nobody_told_us_is_found_and_used(limit: float, senders: int, wanted: int) -> None:
    calls = play(BucketGateway(limit), NO_LIMITS, 120, senders=senders, wanted=wanted)
    late = [call for call in calls if call.at >= 10]
    assert sum(call.outcome == "throttled" for call in late) <= 0.02 * len(late)
    assert messages(calls, 10, 120) >= 0.9 * limit * 110


def test_a_limit_without_any_burst_is_found_and_mostly_used() -> None:
    calls = play(StrictGateway(50), NO_LIMITS, 120)
    late = [call for call in calls if call.at >= 10]
    assert sum(call.outcome == "throttled" for call in late) <= 0.02 * len(late)
    assert messages(calls, 10, 120) >= 0.8 * 50 * 110


def test_after_a_429_nobody_calls_until_the_provider_allows_it() -> None:
    current, grant = throttle_state.take(Pace(), NO_LIMITS, START, 10)
    current = throttle_state.throttled(current, NO_LIMITS, START + 0.1, grant, retry_after=7.0)
    current = throttle_state.throttled(current, NO_LIMITS, START + 0.2, grant, retry_after=None)
    assert throttle_state.look(current, NO_LIMITS, START + 1, 1) == Grant(0, START + 1, pytest.approx(6.1))
    assert not throttle_state.look(current, NO_LIMITS, START + 7.09, 1)
    assert throttle_state.look(current, NO_LIMITS, START + 8.5, 1)


@pytest.mark.parametrize(("retry_after", "closed"), [(None, 1.0), (0.0, 0.1), (-5.0, 0.1), (86_400.0, 300.0)])
def test_a_429_closes_for_a_time_that_makes_sense(retry_after: float | None, closed: float) -> None:
    current = throttle_state.throttled(Pace(), NO_LIMITS, START, Grant(1, START), retry_after)
    assert current.closed_until == START + closed


def test_calls_in_flight_together_lower_the_rate_once() -> None:
    current, grant = throttle_state.take(Pace(), NO_LIMITS, START, 1000)
    for n in range(8):
        current = throttle_state.throttled(current, NO_LIMITS, START + 0.1 + n, grant, None)
    assert current.rate == pytest.approx(700, rel=0.01)


def test_a_429_to_a_few_messages_costs_at_most_half_of_the_rate() -> None:
    limits = Limits(ceiling=500)
    current, grant = throttle_state.take(Pace(), limits, START, 3)
    current = throttle_state.throttled(current, limits, START, grant, None)
    assert current.rate == pytest.approx(500 * 0.7 * 0.7)


@pytest.mark.parametrize("ceiling", [None, 900.0])
def test_a_lowering_is_forgotten_within_two_minutes_where_nobody_waits(ceiling: float | None) -> None:
    limits = Limits(ceiling=ceiling)
    current, grant = throttle_state.take(Pace(), limits, START, 400)
    current = throttle_state.throttled(current, limits, START, grant, None)
    assert throttle_state.allowed_rate(current, limits) is not None
    for second in range(1, 120):
        current, grant = throttle_state.take(current, limits, START + second, 10)
    assert current.rate is None
    assert throttle_state.is_free(current, limits, START + 120) == (ceiling is None)


def after(outcomes: str, pause: float = 0.0) -> Pace:
    """What is known after these calls (d: down, a: answered), the last of them `pause` seconds after the others."""
    current, grant = Pace(), Grant(1, START)
    for place, letter in enumerate(outcomes, 1):
        change = throttle_state.down if letter == "d" else throttle_state.answered
        current = change(current, NO_LIMITS, START + (pause if place == len(outcomes) else 0), grant)
    return current


def test_the_breaker_trips_when_half_of_twenty_calls_within_its_window_find_the_gateway_down() -> None:
    assert after("d" * 9 + "a" * 10 + "d").cool_down == 10
    assert after("d" * 9 + "a" * 9 + "d").cool_down == 0
    assert after("aad" * 30).cool_down == 0
    assert after("ad" * 9 + "d", pause=0).cool_down == 0
    assert after("ad" * 9 + "dd", pause=35).cool_down == 0


def test_the_breaker_trips_when_twenty_calls_in_a_row_find_the_gateway_down() -> None:
    assert after("a" * 500 + "d" * 19).cool_down == 0
    assert after("a" * 500 + "d" * 20).cool_down == 10
    assert after("a" * 500 + "d" * 10 + "a" + "d" * 10).cool_down == 0
    assert after("d" * 20, pause=35).cool_down == 0


def test_an_outage_sees_few_calls_and_no_stampede_follows() -> None:
    limit = 50
    calls = play(BucketGateway(limit), NO_LIMITS, 1800, down=(60, 660))
    during = [call for call in calls if 60 <= call.at < 660]
    assert len(during) <= 20 + 8 + 10
    after = [call for call in calls if call.at >= 660]
    assert after[0].at < 660 + 300
    assert after[0].grant.granted == 1
    back = after[0].at
    assert messages(calls, back, back + 5) <= 0.5 * limit * 5
    for second in range(int(back), int(back) + 300):
        sent = messages(calls, second, second + 1) + messages(calls, second, second + 1, "throttled")
        assert sent <= 1.1 * limit
    assert messages(calls, back + 60, back + 360) >= 0.9 * limit * 300


def test_an_outage_under_a_configured_ceiling_never_exceeds_it_afterwards() -> None:
    calls = play(BucketGateway(1e9), Limits(ceiling=100), 400, down=(30, 90))
    back = next(call.at for call in calls if call.at >= 90)
    sent = [messages(calls, back + n, back + n + 1) for n in range(int(399 - back))]
    assert max(sent) <= 110
    assert sent[0] <= 15
    assert sent[-1] >= 90


def test_calls_that_fail_at_once_do_not_pass_for_the_usual_rate() -> None:
    current = tripped()
    assert current.reached == 200
    crowd = Pace()
    for second in range(3):
        crowd, grant = throttle_state.take(crowd, NO_LIMITS, START + second * 6, 50)
        crowd = throttle_state.answered(crowd, NO_LIMITS, START + second * 6, grant)
    while not crowd.cool_down:
        crowd, grant = throttle_state.take(crowd, NO_LIMITS, START + 20, 1000)
        crowd = throttle_state.down(crowd, NO_LIMITS, START + 20, grant)
    assert crowd.reached == 50


def test_one_probe_is_out_at_a_time_and_a_lost_one_is_given_up() -> None:
    current, now = tripped(), START + 10
    assert not throttle_state.look(current, NO_LIMITS, now - 0.01, 1000)
    current, probe = throttle_state.take(current, NO_LIMITS, now, 1000)
    assert probe.granted == 1
    granted = []
    for second in range(60):
        current, grant = throttle_state.take(current, NO_LIMITS, now + second, 1000)
        granted.append(grant.granted)
    assert sum(granted) == 0
    current, second_probe = throttle_state.take(current, NO_LIMITS, now + 60, 1000)
    assert second_probe.granted == 1


def test_a_probe_that_is_not_made_makes_room_for_another() -> None:
    current, probe = throttle_state.take(tripped(), NO_LIMITS, START + 10, 5)
    assert not throttle_state.look(current, NO_LIMITS, START + 10, 5)
    for grant, granted in ((Grant(1, START), 0), (probe, 1)):
        left = throttle_state.unused(current, NO_LIMITS, START + 10, grant)
        assert throttle_state.look(left, NO_LIMITS, START + 10, 5).granted == granted


def test_what_was_granted_and_not_used_comes_back_and_no_more() -> None:
    limits = Limits(ceiling=100)
    current, grant = throttle_state.take(Pace(), limits, START, 80)
    assert throttle_state.look(throttle_state.unused(current, limits, START, grant), limits, START, 1000).granted == 100
    assert throttle_state.look(throttle_state.given_back(current, limits, START, 30), limits, START, 1000).granted == 50
    assert (
        throttle_state.look(throttle_state.given_back(current, limits, START, 500), limits, START, 1000).granted == 100
    )
    closed = throttle_state.throttled(current, limits, START, grant, retry_after=10)
    assert not throttle_state.look(throttle_state.unused(closed, limits, START + 1, grant), limits, START + 1, 1)
    assert throttle_state.given_back(Pace(), NO_LIMITS, START, 5).tokens == 0


def test_failed_probes_double_the_cool_down_up_to_its_maximum() -> None:
    current, now, waits = tripped(), START, []
    for _ in range(7):
        waits.append(round(throttle_state.look(current, NO_LIMITS, now, 1).wait))
        now = current.closed_until
        current, probe = throttle_state.take(current, NO_LIMITS, now, 1)
        current = throttle_state.down(current, NO_LIMITS, now, probe)
    assert waits == [10, 20, 40, 80, 160, 300, 300]


def test_calls_from_before_the_breaker_tripped_decide_nothing() -> None:
    current = tripped()
    old = Grant(100, START - 1)
    for change in (throttle_state.answered, throttle_state.down):
        assert change(current, NO_LIMITS, START + 5, old).closed_until == START + 10
        assert change(current, NO_LIMITS, START + 12, old).cool_down == 10


@pytest.mark.parametrize("is_throttled", [False, True])
def test_an_answered_probe_opens_the_gateway_at_a_tenth_of_the_usual_rate(is_throttled: bool) -> None:
    current, probe = throttle_state.take(tripped(), NO_LIMITS, START + 10, 1)
    if is_throttled:
        current = throttle_state.throttled(current, NO_LIMITS, START + 11, probe, 3.0)
    else:
        current = throttle_state.answered(current, NO_LIMITS, START + 11, probe)
    assert (current.cool_down, current.rate) == (0, 20)
    assert throttle_state.look(current, NO_LIMITS, START + 11, 100).granted == 0
    assert throttle_state.look(current, NO_LIMITS, START + 12, 100).granted == (0 if is_throttled else 20)
    assert throttle_state.look(current, NO_LIMITS, START + 15, 100).granted == 20


def test_what_a_process_granted_itself_counts_as_the_usual_rate() -> None:
    current = throttle_state.gathered(Pace(), NO_LIMITS, START, granted=300, answered=4)
    current = throttle_state.throttled(current, NO_LIMITS, START, Grant(1, START), None)
    assert current.reached == 300


def test_gathered_answers_from_before_an_outage_do_not_end_it() -> None:
    assert throttle_state.gathered(tripped(), NO_LIMITS, START + 12, granted=5, answered=5).cool_down == 10


def test_a_clock_set_back_by_an_hour_does_not_close_a_gateway_for_an_hour() -> None:
    current = tripped()
    assert throttle_state.look(current, NO_LIMITS, START - 3600, 5).granted == 5


def test_a_clock_a_little_behind_changes_nothing() -> None:
    limits = Limits(ceiling=10)
    current, _ = throttle_state.take(Pace(), limits, START, 10)
    assert throttle_state.look(current, limits, START - 2, 1).granted == 0


@given(gaps=st.lists(st.floats(0, 100_000), min_size=1, max_size=30), data=st.data())
def test_no_order_of_events_breaks_it(gaps: list[float], data: st.DataObject) -> None:
    limits = Limits(ceiling=data.draw(st.sampled_from([None, 0.5, 80.0])))
    current, now, grant = Pace(), START, Grant(1, START)
    for gap in gaps:
        now += gap if data.draw(st.booleans()) else 0.01
        event = data.draw(st.sampled_from(["take", "answered", "throttled", "down", "down", "down"]))
        for _ in range(8):
            if event == "take":
                current, new = throttle_state.take(current, limits, now, 50)
                grant = new or grant
            elif event == "throttled":
                current = throttle_state.throttled(current, limits, now, grant, None)
            else:
                change = throttle_state.answered if event == "answered" else throttle_state.down
                current = change(current, limits, now, grant)
        rate = throttle_state.allowed_rate(current, limits)
        assert rate is None or rate > 0
        assert current.closed_until <= now + 300
        assert throttle_state.look(current, limits, now, 50).wait <= 300
        assert len(current.slices) <= throttle_state.SLICES


def test_shares_of_all_processes_make_the_whole() -> None:
    current, grant = throttle_state.take(Pace(), NO_LIMITS, START, 400)
    current = throttle_state.throttled(current, NO_LIMITS, START, grant, None)
    share = throttle_state.share_of(current, 4)
    assert share.rate == pytest.approx(70)
    assert share.closed_until == current.closed_until


def test_a_stray_refusal_in_a_quiet_time_does_not_slow_the_next_campaign():
    current, grant = throttle_state.take(Pace(), NO_LIMITS, START, 1)
    current = throttle_state.throttled(current, NO_LIMITS, START, grant, None)
    assert current.rate == throttle_state.FIRST_LOWERED_TO
    again = throttle_state.take(current, NO_LIMITS, START + 3, 1)
    assert (
        throttle_state.throttled(again[0], NO_LIMITS, START + 3, again[1], None).rate < throttle_state.FIRST_LOWERED_TO
    )


# --- how much at once -------------------------------------------------------------------------------------------------


def test_a_lost_answer_halves_the_next_calls_down_to_where_size_is_no_reason() -> None:
    current, sizes = Pace(), []
    for n in range(8):
        current, grant = throttle_state.take(current, NO_LIMITS, START + n, 1000)
        sizes.append(grant.granted)
        current = throttle_state.lost(current, NO_LIMITS, START + n, grant)
    assert sizes == [1000, 500, 250, 125, 62, 50, 50, 50]


def test_answers_lost_together_halve_the_calls_once() -> None:
    current = Pace()
    _, grant = throttle_state.take(current, NO_LIMITS, START, 1000)
    for _ in range(4):
        current = throttle_state.lost(current, NO_LIMITS, START + 15, grant)
    assert throttle_state.look(current, NO_LIMITS, START + 16, 1000).granted == 500


def test_undisturbed_calls_grow_back_until_nothing_limits_them() -> None:
    current = throttle_state.lost(Pace(), NO_LIMITS, START, Grant(1000, START))
    current = throttle_state.lost(current, NO_LIMITS, START + 1, Grant(500, START))
    assert not throttle_state.is_free(current, NO_LIMITS, START + 2)
    sizes = []
    for n in range(1, 4):
        current, grant = throttle_state.take(current, NO_LIMITS, START + n * throttle_state.GROWS_AFTER, 1000)
        sizes.append(grant.granted)
    assert sizes == [250, 500, 1000]
    assert throttle_state.is_free(current, NO_LIMITS, START + 4 * throttle_state.GROWS_AFTER)


def test_a_single_send_whose_answer_is_lost_makes_no_call_smaller() -> None:
    current = throttle_state.lost(Pace(), NO_LIMITS, START, Grant(1, START))
    assert throttle_state.look(current, NO_LIMITS, START + 1, 1000).granted == 1000
