"""Whole numbers in untrusted text."""

MOST = 18  # digits that fit in a bigint column


def whole_number(text: str) -> int | None:
    """Return the integer written as 1 to 18 ASCII digits; None for any other text.

    `isdigit` alone accepts `²` and thousands of digits, and `int` refuses both.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST else None
