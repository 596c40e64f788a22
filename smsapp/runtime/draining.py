"""Whether this web server process was asked to stop, and only finishes what still comes."""

_is_on = False


def begin() -> None:
    global _is_on
    _is_on = True


def is_on() -> bool:
    return _is_on
