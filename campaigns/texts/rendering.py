"""Placeholders in a campaign's text: `{name}`, or `{name|friend}` with a default for empty values.

- Names match the audience's columns regardless of case and of the spaces around them.
- `{{` and `}}` are literal braces, in pairs from left to right: `{{name}}` is sent as `{name}`.
- Braces around anything that is neither a column nor written like a name (a letter, then letters, digits, spaces,
  `_`, `-`, `.`) are text: `{}`, `{0.__class__}`, `{% load %}`, a lone `{` or `}`.
- A value is inserted as it is: a placeholder inside a value is not expanded.
- `{opt_out_link}` is not a column: the recipient's own link is filled in on submission (`opt_out_links.py`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from smsapp.core.exceptions import TemplateVariableMissing
from smsapp.lib.sentences import Sentence, gettext_noop

OPT_OUT_LINK = "opt_out_link"
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}|]+)(?:\|([^{}]*))?\}")
_is_name = re.compile(r"[^\W\d][\w .\-]*").fullmatch


class EmptyValue(Exception):
    """A recipient has no value for a placeholder without a default; `name` is the placeholder."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class _Placeholder:
    source: str
    name: str
    default: str | None


@dataclass(frozen=True, slots=True)
class _Link:
    """The position of the recipient's own opt-out link."""

    source: str


class Template:
    """A parsed text. Parse once, bind to an audience's columns, render millions of times."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts: list[str | _Placeholder | _Link] = []
        position = 0
        for token in _TOKEN.finditer(text):
            self._parts.append(text[position : token.start()])
            self._parts.append(_part(token))
            position = token.end()
        self._parts.append(text[position:])

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names that need a column, as written, each once: those without a default."""
        found: dict[str, str] = {}
        for part in self._parts:
            if isinstance(part, _Placeholder) and part.default is None and _is_name(part.name):
                found.setdefault(part.name.casefold(), part.name)
        return tuple(found.values())

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Return all placeholders as written, each once, with their braces."""
        filled = (part for part in self._parts if not isinstance(part, str))
        found = (part.source for part in filled if isinstance(part, _Link) or _is_name(part.name))
        return tuple(dict.fromkeys(found))

    @property
    def own_characters(self) -> frozenset[str]:
        """Return the characters that can be replaced without changing the name of a placeholder."""
        own: set[str] = set()
        names: set[str] = set()
        for part in self._parts:
            if isinstance(part, str):
                own.update(part)
            elif isinstance(part, _Placeholder):
                own.update(part.default or "")
                names.update(part.name)
        return frozenset(own - names)

    def bind(self, columns: Sequence[str]) -> "Renderer":
        """Find the column of each placeholder. Raises TemplateVariableMissing with the `missing` names."""
        indexes = {name.strip().casefold(): index for index, name in reversed(list(enumerate(columns)))}
        missing = [name for name in self.names if name.casefold() not in indexes]
        if missing:
            raise TemplateVariableMissing(
                _explain(missing, columns), field="message", value=missing[0], missing=missing
            )
        parts: list[str] = []
        fields: list[tuple[int, int, _Placeholder]] = []
        links: list[int] = []
        for part in self._parts:
            if isinstance(part, _Link):
                links.append(len(parts))
                parts.append("")
            elif isinstance(part, _Placeholder):
                index = indexes.get(part.name.casefold())
                if index is not None:
                    fields.append((len(parts), index, part))
                parts.append(_without_column(part))
            else:
                parts.append(part)
        return Renderer(parts, fields, links)


class Renderer:
    """A text bound to the columns of an audience."""

    def __init__(
        self, parts: list[str], fields: Sequence[tuple[int, int, _Placeholder]] = (), links: Sequence[int] = ()
    ) -> None:
        self._parts = parts
        self._fields = fields
        self._links = links
        self.is_constant = not fields  #: the same text for every recipient, except for the link
        self.has_link = bool(links)

    def render(self, values: Sequence[str], link: str = "") -> str:
        """Return the text for one recipient's values, in the order of the columns. Raises EmptyValue."""
        parts = self._parts.copy()
        for part in self._links:
            parts[part] = link
        for part, index, placeholder in self._fields:
            value = values[index] if index < len(values) else ""
            if not value or value.isspace():
                if placeholder.default is None:
                    raise EmptyValue(placeholder.name)
                value = placeholder.default
            parts[part] = value
        return "".join(parts)


def _part(token: re.Match[str]) -> str | _Placeholder | _Link:
    source = token.group()
    if source == "{{":
        return "{"
    if source == "}}":
        return "}"
    name = token.group(1).strip()
    return _Link(source) if name.casefold() == OPT_OUT_LINK else _Placeholder(source, name, token.group(2))


def _without_column(placeholder: _Placeholder) -> str:
    if placeholder.default is not None and _is_name(placeholder.name):
        return placeholder.default
    return placeholder.source


def _explain(missing: Sequence[str], columns: Sequence[str]) -> Sentence:
    names = {"names": ", ".join(f"{{{name}}}" for name in missing), "literal": missing[0].join(("{{", "}}"))}
    if not columns:
        return Sentence(
            gettext_noop(
                "The text uses %(names)s, but these recipients have no columns. "
                "To send braces as text, double them: %(literal)s."
            ),
            **names,
        )
    return Sentence(
        gettext_noop(
            "The text uses %(names)s, but the recipients have only these columns: %(columns)s. "
            "To send braces as text, double them: %(literal)s."
        ),
        columns=", ".join(columns),
        **names,
    )
