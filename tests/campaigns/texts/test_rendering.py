"""Texts with placeholders become messages, and nothing surprising does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.texts.rendering import EmptyValue, Template
from smsapp.core.exceptions import TemplateVariableMissing

COLUMNS = ("name", "Phone", "Order No.", "straße")
VALUES = ("Anna", "+491713920012", "A-1", "Allee")


def render(text: str, columns: tuple[str, ...] = COLUMNS, values: tuple[str, ...] = VALUES) -> str:
    return Template(text).bind(columns).render(values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello {name}!", "Hello Anna!"),
        ("{ NAME }{name}", "AnnaAnna"),
        ("{phone}: {order no.}", "+491713920012: A-1"),
        ("{STRASSE}", "Allee"),
        ("{name|friend}", "Anna"),
        ("{nickname|friend}", "friend"),
        ("{nickname|}", ""),
        ("{{name}}", "{name}"),
        ("{{{name}}}", "{Anna}"),
        ("{{7*7}}", "{7*7}"),
        ("{{", "{"),
        ("}}", "}"),
        ("{{}}", "{}"),
    ],
)
def test_placeholders_defaults_and_doubled_braces(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "{ }",
        "{",
        "}",
        "a { b",
        "a } b",
        "{0.__class__}",
        "{0}",
        "{!r}",
        "{% load static %}",
        "{7*7}",
        "{|x}",
        "{0|x}",
        "{name",
        "name}",
        '{"a": 1}',
        "%(name)s %s $name ${",
        "{$name}",
        "{\n}",
        "{:>10}",
    ],
)
def test_braces_that_are_no_placeholder_stay_as_they_are(text: str) -> None:
    template = Template(text)
    assert template.names == ()
    assert template.bind(COLUMNS).render(VALUES) == text


def test_a_value_that_looks_like_a_placeholder_is_not_expanded() -> None:
    assert render("{name} {phone}", ("name", "phone"), ("{phone}{{", "{name|x}")) == "{phone}{{ {name|x}"


@given(st.lists(st.text(min_size=1).filter(lambda value: not value.isspace()), min_size=2, max_size=2))
def test_values_go_in_unchanged_whatever_they_are(values: list[str]) -> None:
    assert render("<{a}|{b}>", ("a", "b"), (values[0], values[1])) == f"<{values[0]}|{values[1]}>"


@given(st.text(alphabet="{}|a. %0\n", max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    template = Template(text)
    result = template.bind([*template.names]).render(["v"] * len(template.names))
    if not template.names and "{{" not in text and "}}" not in text and "|" not in text:
        assert result == text


def test_names_are_those_that_need_a_column() -> None:
    assert Template("{b} {A} {B} {c|x} {{d}} {0} { a }").names == ("b", "A")


def test_missing_columns_are_all_named() -> None:
    with pytest.raises(TemplateVariableMissing) as error:
        Template("{name} {frist_name} {Ordr}").bind(("name", "first_name"))
    assert error.value.details["field"] == "message"
    assert error.value.details["missing"] == ["frist_name", "Ordr"]
    assert "{frist_name}" in error.value.message
    assert "first_name" in error.value.message


@pytest.mark.parametrize("values", [("",), ("  \n",), ()])
def test_an_empty_value_is_named_unless_there_is_a_default(values: tuple[str, ...]) -> None:
    with pytest.raises(EmptyValue) as error:
        render("Hello { Name }", ("name",), values)
    assert error.value.name == "Name"
    assert render("Hello {name|friend}", ("name",), values) == "Hello friend"


def test_a_column_with_any_name_can_be_used_if_it_is_there() -> None:
    assert render("{#} {Betrag (EUR)}", ("#", "Betrag (EUR)"), ("7", "9,50")) == "7 9,50"


def test_of_two_columns_with_one_name_the_first_counts() -> None:
    assert render("{name}", ("name", "NAME"), ("first", "second")) == "first"


def test_a_text_without_placeholders_is_known_to_be_constant() -> None:
    assert Template("Sale {{today}}").bind(COLUMNS).is_constant
    assert not Template("{name}").bind(COLUMNS).is_constant


def test_the_opt_out_link_is_filled_where_it_stands_and_nowhere_else() -> None:
    renderer = Template("{name} {Opt_Out_Link} {{opt_out_link}}").bind(("name",))
    assert renderer.has_link
    assert renderer.render(("{opt_out_link}",), "L") == "{opt_out_link} L {opt_out_link}"


def test_placeholders_are_all_that_is_filled_as_written() -> None:
    assert Template("{b} { b } {c|x} {{d}} {0} {opt_out_link} {b}").placeholders == (
        "{b}",
        "{ b }",
        "{c|x}",
        "{opt_out_link}",
    )
