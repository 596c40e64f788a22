import pytest

from smsapp.lib.retry_after import DAY, retry_after_seconds

NOON = "Tue, 01 Dec 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30),
        (" 5 ", 5),
        ("0", 0),
        ("9" * 400, DAY),
        ("Tue, 01 Dec 2026 12:02:00 GMT", 120),
        ("Tue, 01 Dec 2026 11:00:00 GMT", 0),
        ("Fri, 01 Jan 2038 00:00:00 GMT", DAY),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("Tue, 99 Dec 2026 12:00:00 GMT", None),
    ],
)
def test_both_forms_are_read_and_bounded(value, seconds):
    assert retry_after_seconds({"retry-after": value, "date": NOON}) == seconds


def test_a_date_needs_the_answers_own():
    assert retry_after_seconds({"retry-after": NOON}) is None
    assert retry_after_seconds({}) is None
    assert retry_after_seconds({"retry-after": "90"}, most=60) == 60
