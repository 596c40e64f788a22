"""Sender names that look alike on a handset: `PayPaI`, `P4YPAL` and `pay pal` look like `PayPal`."""

from itertools import product

#: Two letters that look like one.
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_ALIKE = str.maketrans("0134578il$@!", "oleastbll" + "sal")
LEAST_INSIDE = 5  # shorter names are neither looked for inside longer ones nor with one letter changed


def folded(name: str) -> set[str]:
    """Return every shape in which a name can be read.

    A shape has no case and no spaces, and characters that look alike are the same one. Each pair that looks like one
    letter is read both ways.
    """
    plain = "".join(character for character in name.casefold() if character.isalnum() or character in "$@!")
    found = set()
    for chosen in product((False, True), repeat=len(_PAIRS)):
        shape = plain
        for (pair, single), is_chosen in zip(_PAIRS, chosen, strict=True):
            shape = shape.replace(pair, single) if is_chosen else shape
        found.add(shape.translate(_ALIKE))
    return found


def looks_like(name: str, reserved: str) -> bool:
    """Return whether a name, or one of its words, looks like a reserved name.

    A reserved name of LEAST_INSIDE letters or more also matches names that contain it or are one letter away from it.
    """
    wanted_shapes = folded(reserved)
    if any(folded(word) & wanted_shapes for word in name.split()):
        return True
    for shape, wanted in product(folded(name), wanted_shapes):
        if shape == wanted or (len(wanted) >= LEAST_INSIDE and (wanted in shape or _is_near(shape, wanted))):
            return True
    return False


def _is_near(one: str, other: str) -> bool:
    """Return whether two names differ by one letter, or by two swapped neighbours."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, wanted = one[start:], other[start:]
    exchanged = rest[1:2] + rest[:1] + rest[2:]
    return rest[1:] == wanted or rest == wanted[1:] or rest[1:] == wanted[1:] or exchanged == wanted
