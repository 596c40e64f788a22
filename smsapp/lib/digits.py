"""Whole numbers in texts that anybody may have written."""

MOST = 18  # digits that a column of the database holds


def whole_number(text: str) -> int | None:
    """Return the number that 1 to 18 ASCII digits name; None for any other text.

    `isdigit` alone accepts `²` and thousands of digits, both of which `int` refuses.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST else None
