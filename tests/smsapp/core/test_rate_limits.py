"""Rate limits: exact under many callers, one full bucket charges no other, and a lost Redis unbounds nobody."""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis.exceptions import RedisError

from smsapp.core import rate_limits
from smsapp.core.rate_limits import Bucket, count


@pytest.fixture(params=["redis", "lost"])
def counting(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of counting keep every promise here; `lost` is what a process does while Redis is away."""
    if request.param == "redis":
        request.getfixturevalue("redis_client")
        monkeypatch.setattr(rate_limits._lost, "until", 0.0)
    else:
        monkeypatch.setattr(rate_limits._lost, "until", float("inf"))
    return str(request.param)


def bucket(limit: int, window: int = 60) -> Bucket:
    return Bucket("key", f"test:{secrets.token_hex(6)}", limit, window)


def test_of_200_calls_at_once_exactly_the_limit_passes(counting: str) -> None:
    one = bucket(100)
    with ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(lambda _: count([one]), range(200)))
    assert sum(not answer.refused for answer in answers) == 100
    assert all(answer.standings[0].remaining >= 0 for answer in answers)


def test_the_room_left_only_falls_inside_a_window(counting: str) -> None:
    one = bucket(5)
    seen = [count([one]).standings[0].remaining for _ in range(8)]
    assert seen == [4, 3, 2, 1, 0, 0, 0, 0]


def test_what_is_given_back_leaves_room_again(counting: str) -> None:
    one, other = bucket(2), bucket(2)
    for _ in range(5):
        assert not count([one, other]).refused
        rate_limits.give_back([one, other])
    rate_limits.give_back([one, other])
    assert [count([one]).refused for _ in range(3)] == [False, False, True]


def test_a_full_bucket_charges_no_other(counting: str) -> None:
    small, large = bucket(1), bucket(10)
    assert not count([small, large]).refused
    assert [count([small, large]).refused for _ in range(5)] == [True] * 5
    assert count([large]).standings[0].remaining == 8


def test_who_waits_as_told_finds_room(counting: str) -> None:
    one = bucket(2, window=1)
    count([one]), count([one])
    refused = count([one])
    assert refused.refused
    assert 0 < refused.tightest.resets_in <= 1
    time.sleep(refused.tightest.resets_in)
    assert not count([one]).refused


def test_the_tightest_is_the_one_to_wait_for(counting: str) -> None:
    short, long = bucket(1, window=5), bucket(1, window=50)
    count([short, long])
    assert count([short, long]).tightest.bucket is long


def test_a_lost_redis_costs_one_try_and_unbounds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def away(name: str) -> Any:
        tries.append(name)
        raise RedisError("away")

    monkeypatch.setattr(rate_limits, "get_redis_connection", away)
    monkeypatch.setattr(rate_limits._lost, "until", 0.0)
    one = bucket(3)
    assert [count([one]).refused for _ in range(5)] == [False, False, False, True, True]
    assert len(tries) == 1
