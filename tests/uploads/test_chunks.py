"""What goes into a chunk comes out of it."""

import hashlib

from uploads import chunks
from uploads.chunks import RefusedRow


def test_a_chunk_is_read_back_as_it_was_packed() -> None:
    rows, phones, values = [2, 7], ["+491713920012", "+12015550100"], [["Анна", "🌻"], ["", '"\n']]
    body = chunks.pack_body(rows, phones, values)
    assert chunks.unpack_body(memoryview(body)) == (rows, phones, values)
    assert chunks.checksum(body) == hashlib.sha256(body).hexdigest()
    assert chunks.pack_body(rows, phones, values) == body
    refused = [RefusedRow(3, "not_a_number", "n/a", ""), RefusedRow(4, "extra_cells", "…", "9 cells")]
    assert chunks.unpack_refused(memoryview(chunks.pack_refused(refused))) == refused


def test_a_refused_value_is_short_and_harmless_and_can_always_be_packed() -> None:
    assert chunks.shown("n/a") == "n/a"
    assert chunks.shown("a\x00b\ud83d\n\u202e") == "a\ufffdb\ufffd\ufffd\ufffd"
    assert chunks.shown("x" * 64) == "x" * 64
    assert chunks.shown("x" * 65) == "x" * 63 + "…"
    chunks.pack_refused([RefusedRow(1, "bad_characters", chunks.shown("\udc80\ud800"), "")])
