"""Whole numbers in texts that anybody may have written."""

MOST = 18  # digits that a column of the database holds


def whole_number(text: str) -> int | None:
    """The number that 1 to 18 ASCII digits name; None for any other text.

    `isdigit` alone lets `²` and thousands of digits pass, both of which `int` refuses.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST else None
