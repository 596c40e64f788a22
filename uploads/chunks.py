"""How an AudienceChunk is packed: JSON by columns, deflated, about 30 bytes a recipient.

body     {"rows": [2, 3, …], "phones": ["+49…", …], "values": [["Anna", "+49…", …], …]}; values of all columns
refused  [[row, reason, shown value, detail], …]
"""

import hashlib
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import orjson

_LEVEL = 1  # deflate: three times as fast as the default and a tenth larger
PREFIX_DIGITS = 4
MAX_SHOWN = 64  # characters kept of a rejected value


class Recipients(NamedTuple):
    """The valid rows of a chunk, three lists of equal length."""

    rows: list[int]
    phones: list[str]
    values: list[list[str]]


class RefusedRow(NamedTuple):
    """A rejected row. `reason`: a RowReason value. `detail`: a sentence or empty."""

    row: int
    reason: str
    value: str
    detail: str


def pack_body(rows: Sequence[int], phones: Sequence[str], values: Sequence[Sequence[str]]) -> bytes:
    return zlib.compress(orjson.dumps({"rows": rows, "phones": phones, "values": values}), _LEVEL)


def unpack_body(body: bytes | memoryview) -> Recipients:
    content = orjson.loads(zlib.decompress(body))
    return Recipients(content["rows"], content["phones"], content["values"])


def pack_refused(refused: Sequence[RefusedRow]) -> bytes:
    return zlib.compress(orjson.dumps([tuple(row) for row in refused]), _LEVEL)


def unpack_refused(packed: bytes | memoryview) -> list[RefusedRow]:
    return [RefusedRow(*row) for row in orjson.loads(zlib.decompress(packed))]


def count_prefixes(phones: Sequence[str]) -> dict[str, int]:
    """Count recipients by the first PREFIX_DIGITS digits of their numbers: enough to tell their price."""
    return dict(Counter([phone[1 : PREFIX_DIGITS + 1] for phone in phones]))


def checksum(body: bytes) -> str:
    """Return the SHA-256, in hex, of a packed body: what an approval is bound to."""
    return hashlib.sha256(body).hexdigest()


def shown(value: str) -> str:
    """Return a rejected value as it can be stored and shown: one line, short, without harmful characters."""
    if len(value) <= MAX_SHOWN and value.isprintable():
        return value
    cut = value[: MAX_SHOWN + 1]
    clean = "".join(character if character.isprintable() else "\ufffd" for character in cut)
    return clean if len(clean) <= MAX_SHOWN else clean[: MAX_SHOWN - 1] + "…"
