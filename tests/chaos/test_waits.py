"""What is called stalled: a single send that waited, and that no blow explains."""

from tests.chaos.waits import RECOVERED_AFTER, STALLED_AFTER, Wait, share_within, stalled, undisturbed

LONG, SHORT = Wait("long", 1000.0, STALLED_AFTER + 1), Wait("short", 1000.0, 0.2)


def test_one_that_waited_and_that_nothing_explains_is_stalled() -> None:
    (finding,) = stalled(undisturbed([LONG, SHORT], []))
    assert "long waited 16.0 s" in finding.text


def test_a_blow_shortly_before_or_meanwhile_explains_it() -> None:
    for blow in (1000.0 - RECOVERED_AFTER + 1, 1000.0 + STALLED_AFTER):
        assert undisturbed([LONG], [blow]) == []


def test_a_blow_long_before_or_afterwards_does_not() -> None:
    blows = [1000.0 - RECOVERED_AFTER, 1000.0 + LONG.seconds]
    assert undisturbed([LONG], blows) == [LONG]
    assert undisturbed([SHORT], [1000.0 + 1]) == [SHORT]


def test_shares() -> None:
    assert share_within([LONG, SHORT], 1.0) == 0.5
    assert share_within([], 1.0) is None
