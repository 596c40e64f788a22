"""What a text costs: encoding, segments and the characters that make it dearer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsapp.lib import text
from smsapp.lib.text import GSM7, UCS2, analyse, segment_count

MIXED = st.text(alphabet=st.one_of(st.sampled_from("aZ9 \n€^[é😀Я`\u00a0"), st.characters()), max_size=700)
GSM = st.text(alphabet=text.GSM7_BASIC + text.GSM7_EXTENSION * 3, max_size=700)
WIDE = st.text(alphabet="Яa😀", max_size=300)


@pytest.mark.parametrize(
    ("body", "encoding", "units", "segments", "left"),
    [
        ("", GSM7, 0, 1, 160),
        ("a" * 160, GSM7, 160, 1, 0),
        ("a" * 161, GSM7, 161, 2, 145),
        ("a" * 306, GSM7, 306, 2, 0),
        ("a" * 307, GSM7, 307, 3, 152),
        ("€" * 80, GSM7, 160, 1, 0),
        ("€" * 80 + "a", GSM7, 161, 2, 144),  # 76 euro signs fill 152 of 153; the 77th starts the next segment
        ("€" * 152, GSM7, 304, 2, 1),
        ("€" * 153, GSM7, 306, 3, 151),  # 306 units are two segments' worth, yet three are needed
        ("a" * 152 + "€" + "a" * 152, GSM7, 306, 3, 152),
        ("Я" * 70, UCS2, 70, 1, 0),
        ("Я" * 71, UCS2, 71, 2, 63),
        ("Я" * 134, UCS2, 134, 2, 0),
        ("Я" * 135, UCS2, 135, 3, 66),
        ("😀" * 35, UCS2, 70, 1, 0),
        ("😀" * 36, UCS2, 72, 2, 61),  # 33 emoji fill 66 of 67; a surrogate pair is not split
        ("😀" * 67, UCS2, 134, 3, 65),
        ("😀" * 100, UCS2, 200, 4, 65),
        ("a" * 80 + "😀", UCS2, 82, 2, 52),
        ("я" * 66 + "😀" * 34, UCS2, 134, 3, 65),  # the first pair does not fit into the first segment
        ("я" * 67 + "😀" * 33, UCS2, 133, 2, 1),
        ("a" * 69 + "`", UCS2, 70, 1, 0),
        ("a" * 70 + "`", UCS2, 71, 2, 63),
    ],
    ids=lambda value: f"{value[:1]} x {len(value)}" if isinstance(value, str) else None,
)
def test_segments_at_the_limits(body: str, encoding: str, units: int, segments: int, left: int) -> None:
    facts = analyse(body)
    assert segment_count(body) == segments
    assert (facts.encoding, facts.unit_count, facts.segment_count, facts.units_left) == (
        encoding,
        units,
        segments,
        left,
    )


def test_the_gsm_alphabet_has_127_characters_and_ten_extensions() -> None:
    assert len(set(text.GSM7_BASIC)) == len(text.GSM7_BASIC) == 127
    assert len(set(text.GSM7_EXTENSION)) == 10
    assert text.encoding_of(text.GSM7_BASIC + text.GSM7_EXTENSION) == GSM7


def test_characters_that_force_ucs2_are_named_once_in_order() -> None:
    facts = analyse("Garçon, “ça va”?\u00a0ç€")
    assert facts.encoding == UCS2
    assert facts.ucs2_characters == ("ç", "“", "”", "\u00a0")


@given(st.one_of(MIXED, GSM, WIDE))
def test_the_fast_count_equals_the_full_analysis(body: str) -> None:
    assert segment_count(body) == analyse(body).segment_count


@given(st.one_of(GSM, WIDE))
def test_segments_filled_one_by_one_take_the_whole_text_and_no_more(body: str) -> None:
    facts = analyse(body)
    wide, limit = (text.GSM7_EXTENSION, 153) if facts.encoding == GSM7 else ("😀", 67)
    remaining, needed = body, 0
    while remaining:
        size = units = 0
        while size < len(remaining) and units + (1 + (remaining[size] in wide)) <= limit:
            units += 1 + (remaining[size] in wide)
            size += 1
        remaining, needed = remaining[size:], needed + 1
    alone = 160 if facts.encoding == GSM7 else 70
    assert facts.segment_count == (1 if facts.unit_count <= alone else needed)


def test_control_characters_are_forbidden_and_newline_is_not() -> None:
    assert text.forbidden_characters("one\ntwo é 😀") == []
    assert text.forbidden_characters("a\x00b\tc\rd\x1b\x85\ud83de\x00") == [
        "\x00",
        "\t",
        "\r",
        "\x1b",
        "\x85",
        "\ud83d",
    ]


def test_invisible_and_direction_marks_are_listed_apart() -> None:
    body = "a\u200bb\u202ec\u00ad\ufeff\u2066"
    assert text.invisible_characters(body) == ["\u200b", "\u202e", "\u00ad", "\ufeff", "\u2066"]
    assert text.forbidden_characters(body) == []


def test_normalising_composes_accents_and_makes_newlines_of_line_ends() -> None:
    assert text.normalise("Cafe\u0301\r\nab\rc") == "Café\nab\nc"
    assert segment_count(text.normalise("e\u0301" * 160)) == 1
    assert text.normalise("a\r\nb\tc") == "a\nb c"
    assert text.normalise("é\tc") == "é c"
