import pytest

from smsapp.lib.digits import whole_number


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["", "²", "٣", "-1", " 1", "1_0", "1.0", "9" * 19, "9" * 5000])
def test_anything_else_is_none(text: str) -> None:
    assert whole_number(text) is None
