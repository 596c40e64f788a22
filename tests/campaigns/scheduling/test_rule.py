"""When a rule comes true: across the days on which clocks change, and what is refused."""

from datetime import UTC, datetime, time
from itertools import islice

import pytest

from campaigns.scheduling.rule import Every, Rule
from smsapp.core.exceptions import ValidationError

pytestmark = pytest.mark.django_db
BERLIN, NEW_YORK, LORD_HOWE, KOLKATA = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"
LISBON, SANTIAGO, APIA, CAIRO = "Europe/Lisbon", "America/Santiago", "Pacific/Apia", "Africa/Cairo"


def cron(text: str, zone: str) -> Rule:
    minute, hour, day, month, weekday = text.split()
    return Rule(minute, hour, day, month, weekday, zone)


#: rule, zone, after (UTC), the next moments (UTC)
CASES: list[tuple[str, str, str, str]] = [
    # Berlin: forward on 2027-03-28 at 02:00, back on 2027-10-31 at 03:00
    ("0 9 * * *", BERLIN, "2027-03-26T12:00", "2027-03-27T08:00 2027-03-28T07:00 2027-03-29T07:00"),
    ("0 9 * * *", BERLIN, "2027-10-29T12:00", "2027-10-30T07:00 2027-10-31T08:00 2027-11-01T08:00"),
    ("30 2 * * *", BERLIN, "2027-03-27T00:00", "2027-03-27T01:30 2027-03-28T01:30 2027-03-29T00:30"),
    ("30 2 * * *", BERLIN, "2027-10-30T00:00", "2027-10-30T00:30 2027-10-31T00:30 2027-11-01T01:30"),
    ("0 2 * * *", BERLIN, "2027-03-27T12:00", "2027-03-28T01:00 2027-03-29T00:00"),
    ("59 1 * * *", BERLIN, "2027-03-27T12:00", "2027-03-28T00:59 2027-03-28T23:59"),
    ("0 3 * * *", BERLIN, "2027-03-27T12:00", "2027-03-28T01:00 2027-03-29T01:00"),
    ("0 3 * * *", BERLIN, "2027-10-30T12:00", "2027-10-31T02:00 2027-11-01T02:00"),
    ("30 2,3 * * *", BERLIN, "2027-03-27T12:00", "2027-03-28T01:30 2027-03-29T00:30 2027-03-29T01:30"),
    ("30 1,2,3 * * *", BERLIN, "2027-10-30T12:00", "2027-10-30T23:30 2027-10-31T00:30 2027-10-31T02:30"),
    ("0 0 * * *", BERLIN, "2027-03-27T22:00", "2027-03-27T23:00 2027-03-28T22:00"),
    ("0 0 * * *", BERLIN, "2027-10-30T12:00", "2027-10-30T22:00 2027-10-31T23:00"),
    ("*/30 2 * * *", BERLIN, "2027-03-28T00:00", "2027-03-28T01:00 2027-03-28T01:30 2027-03-29T00:00"),
    ("*/30 2 * * *", BERLIN, "2027-10-30T23:00", "2027-10-31T00:00 2027-10-31T00:30 2027-11-01T01:00"),
    ("0 9 * * 0", BERLIN, "2027-03-22T00:00", "2027-03-28T07:00 2027-04-04T07:00"),
    ("0 9 * * 1-5", BERLIN, "2027-03-26T12:00", "2027-03-29T07:00 2027-03-30T07:00"),
    ("0 9 28 3 *", BERLIN, "2026-04-01T00:00", "2027-03-28T07:00 2028-03-28T07:00"),
    ("30 2 28 3 *", BERLIN, "2027-01-01T00:00", "2027-03-28T01:30 2028-03-28T00:30"),
    # New York: forward on 2027-03-14 at 02:00, back on 2027-11-07 at 02:00
    ("30 2 * * *", NEW_YORK, "2027-03-13T12:00", "2027-03-14T07:30 2027-03-15T06:30"),
    ("30 1 * * *", NEW_YORK, "2027-11-06T12:00", "2027-11-07T05:30 2027-11-08T06:30"),
    ("0 20 * * *", NEW_YORK, "2027-03-12T12:00", "2027-03-13T01:00 2027-03-14T01:00 2027-03-15T00:00"),
    ("0 20 * * *", NEW_YORK, "2027-11-06T12:00", "2027-11-07T00:00 2027-11-08T01:00"),
    ("0 2 * * 0", NEW_YORK, "2027-03-08T00:00", "2027-03-14T07:00 2027-03-21T06:00"),
    ("0 1 * * 0", NEW_YORK, "2027-11-01T00:00", "2027-11-07T05:00 2027-11-14T06:00"),
    # Lord Howe moves by half an hour: back on 2027-04-04 at 02:00, forward on 2027-10-03 at 02:00
    ("45 1 * * *", LORD_HOWE, "2027-04-03T00:00", "2027-04-03T14:45 2027-04-04T15:15"),
    ("15 2 * * *", LORD_HOWE, "2027-10-02T00:00", "2027-10-02T15:45 2027-10-03T15:15"),
    ("0 12 * * *", LORD_HOWE, "2027-10-01T12:00", "2027-10-02T01:30 2027-10-03T01:00"),
    # Kolkata never moves, and is half an hour off
    ("0 9 * * *", KOLKATA, "2027-03-27T12:00", "2027-03-28T03:30 2027-03-29T03:30"),
    ("30 5 * * *", KOLKATA, "2027-10-30T12:00", "2027-10-31T00:00 2027-11-01T00:00"),
    # Lisbon: forward on 2027-03-28 at 01:00, back on 2027-10-31 at 02:00
    ("30 1 * * *", LISBON, "2027-03-27T12:00", "2027-03-28T01:30 2027-03-29T00:30"),
    ("30 1 * * *", LISBON, "2027-10-30T12:00", "2027-10-31T00:30 2027-11-01T01:30"),
    # Santiago and Cairo change at midnight: a day that begins at 01:00, or twice
    ("0 0 * * *", SANTIAGO, "2026-09-05T12:00", "2026-09-06T04:00 2026-09-07T03:00"),
    ("30 23 * * *", SANTIAGO, "2027-04-03T00:00", "2027-04-03T02:30 2027-04-04T02:30 2027-04-05T03:30"),
    ("0 0 * * *", CAIRO, "2027-04-29T12:00", "2027-04-29T22:00 2027-04-30T21:00"),
    ("30 0 * * *", CAIRO, "2027-04-29T12:00", "2027-04-29T22:30 2027-04-30T21:30"),
    # far from Greenwich: the day there is another one
    ("0 9 1 * *", APIA, "2027-01-15T00:00", "2027-01-31T20:00 2027-02-28T20:00"),
    ("0 0 * * 1", APIA, "2027-01-03T00:00", "2027-01-03T11:00 2027-01-10T11:00"),
    # days that not every month and year has
    ("0 9 31 * *", BERLIN, "2027-03-15T00:00", "2027-03-31T07:00 2027-05-31T07:00 2027-07-31T07:00"),
    ("0 9 29 2 *", "UTC", "2027-01-01T00:00", "2028-02-29T09:00 2032-02-29T09:00"),
    ("0 9 1-7 * 1", BERLIN, "2027-03-02T00:00", "2027-04-05T07:00 2027-05-03T07:00"),
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_there_are_forty_cases() -> None:
    assert len(CASES) == 40


@pytest.mark.parametrize(("text", "zone", "after", "expected"), CASES)
def test_the_moments_of_a_rule(text: str, zone: str, after: str, expected: str) -> None:
    wanted = list(map(at, expected.split()))
    assert list(islice(cron(text, zone).after(at(after)), len(wanted))) == wanted


@pytest.mark.parametrize(("text", "zone", "after", "expected"), CASES[:10])
def test_moments_follow_from_the_one_before_as_well(text: str, zone: str, after: str, expected: str) -> None:
    """The clock asks after each one anew."""
    rule, moment = cron(text, zone), at(after)
    for wanted in map(at, expected.split()):
        found = rule.next_after(moment)
        assert found == wanted
        moment = found


def test_the_simple_rules() -> None:
    nine, monday = time(9), at("2027-02-01T00:00")
    assert str(Rule.at(Every.DAY, "UTC", nine)) == "0 9 * * *"
    assert str(Rule.at(Every.WEEKDAY, "UTC", nine)) == "0 9 * * 1-5"
    weekly = Rule.at(Every.WEEK, "UTC", nine, weekdays=(0, 3))
    assert list(islice(weekly.after(monday), 2)) == [at("2027-02-03T09:00"), at("2027-02-07T09:00")]
    monthly = Rule.at(Every.MONTH, "UTC", nine, month_day=28)
    assert list(islice(monthly.after(monday), 2)) == [at("2027-02-28T09:00"), at("2027-03-28T09:00")]


@pytest.mark.parametrize(
    ("text", "zone", "words"),
    [
        ("0 9 30 2 *", "UTC", "never "),
        ("0 9 31 4,6,9,11 *", "UTC", "never "),
        ("* * * * *", "UTC", "every five minutes"),
        ("0,2 9 * * *", "UTC", "every five minutes"),
        ("61 9 * * *", "UTC", "not a valid rule"),
        ("a b c d e", "UTC", "not a valid rule"),
        ("0 25 * * *", "UTC", "not a valid rule"),
        ("0 9 0 * *", "UTC", "not a valid rule"),
        ("0 9 * * *", "Mars/Olympus", "no such time zone"),
        ("0 9 * * *", "", "no such time zone"),
        ("0 9 * * *", "../etc/passwd", "no such time zone"),
    ],
)
def test_what_is_no_rule_is_refused_in_words(text: str, zone: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        cron(text, zone).check(at("2027-01-01T00:00"))


def test_rules_that_are_equal_share_a_row() -> None:
    rule = cron("0 9 * * *", BERLIN)
    assert rule.stored().pk == rule.stored().pk
    assert Rule.of(rule.stored()) == rule
