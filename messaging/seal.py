"""The permutation behind message ids, so that they do not tell how many batches there are.

A Feistel network of four rounds over 44 bits: halves of 22 bits change places, and a keyed function of one is added to
the other. Only sums, products, remainders, shifts and `&` of 64 bits, so that PostgreSQL and SQLite calculate the same
in the view `sms_messages`. It hides numbers from customers; it is no encryption of a secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass

HALF = 22  # bits
MASK = (1 << HALF) - 1
SEALED = 1 << (2 * HALF)  # set in every sealed number, and in no batch with an unsealed id
_PRIME = (1 << 31) - 1
_SHIFT = 31  # to the product's upper bits, which depend on all of it


@dataclass(frozen=True, slots=True)
class Seal:
    """`after`: batches up to this one keep their ids of an earlier version. `keys`: two of 31 bits for each round."""

    after: int
    keys: Sequence[int]

    @property
    def _rounds(self) -> list[tuple[int, int]]:
        return list(zip(self.keys[::2], self.keys[1::2], strict=True))

    def sealed(self, batch_id: int) -> int:
        """Return the batch's number in ids, of 45 bits."""
        if batch_id <= self.after:
            return batch_id
        left, right = batch_id >> HALF, batch_id & MASK
        for keys in self._rounds:
            left, right = right, (left + _mixed(right, *keys)) & MASK
        return SEALED | (left << HALF) | right

    def opened(self, sealed: int) -> int | None:
        """Return the batch of this number in ids; None if there can be none."""
        if not sealed & SEALED:
            return sealed if sealed <= self.after else None
        left, right = (sealed >> HALF) & MASK, sealed & MASK
        for keys in reversed(self._rounds):
            left, right = (right - _mixed(left, *keys)) & MASK, left
        batch_id = (left << HALF) | right
        return batch_id if batch_id > self.after else None


def _mixed(half: int, first: int, second: int) -> int:
    """Return a keyed function of one half. It is not linear: differences of halves do not become those of results."""
    return ((((half * (half + first)) % _PRIME) * second) >> _SHIFT) & MASK
