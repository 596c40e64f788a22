"""How an AudienceChunk is packed: JSON by columns, deflated. Fits one recipient into about 30 bytes.

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
MAX_SHOWN = 64  # characters of a refused value that are kept


class Recipients(NamedTuple):
    """The good rows of a chunk, three lists of equal length."""

    rows: list[int]
    phones: list[str]
    values: list[list[str]]


class RefusedRow(NamedTuple):
    """A row that is no recipient; `reason` is a RowReason value, `detail` a sentence or empty."""

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
    """Recipients by the first PREFIX_DIGITS digits of their E.164 numbers: enough to say what they cost."""
    return dict(Counter([phone[1 : PREFIX_DIGITS + 1] for phone in phones]))


def checksum(body: bytes) -> str:
    """SHA-256, hex, of a packed body: what an approval is bound to."""
    return hashlib.sha256(body).hexdigest()


def shown(value: str) -> str:
    """A refused value as it may be stored and shown: one line, short, without characters that do harm."""
    if len(value) <= MAX_SHOWN and value.isprintable():
        return value
    cut = value[: MAX_SHOWN + 1]
    clean = "".join(character if character.isprintable() else "\ufffd" for character in cut)
    return clean if len(clean) <= MAX_SHOWN else clean[: MAX_SHOWN - 1] + "…"
