"""A campaign's text becomes messages: `{name}`, or `{name|friend}` with a default for empty values.

- Names match the audience's columns whatever their case and the spaces around them.
- `{{` and `}}` are literal braces, in pairs from left to right: `{{name}}` is sent as `{name}`.
- Braces around anything that is neither a column nor written like a name (a letter, then letters, digits, spaces,
  `_`, `-`, `.`) are text: `{}`, `{0.__class__}`, `{% load %}`, a lone `{` or `}`.
- A value goes in as it is: what looks like a placeholder inside a value is never expanded.
- `{opt_out_link}` is no column: each recipient's own link is filled in as the text is handed over (`opt_out_links.py`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from smsapp.core.exceptions import TemplateVariableMissing

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
    """Where the recipient's own opt-out link goes."""

    source: str


class Template:
    """A parsed text: parse once, bind to an audience's columns, render millions of times."""

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
        """Names that need a column: those without a default, as written, each once."""
        found: dict[str, str] = {}
        for part in self._parts:
            if isinstance(part, _Placeholder) and part.default is None and _is_name(part.name):
                found.setdefault(part.name.casefold(), part.name)
        return tuple(found.values())

    @property
    def placeholders(self) -> tuple[str, ...]:
        """All that is filled in, with or without a default, as written, each once."""
        filled = (part for part in self._parts if not isinstance(part, str))
        found = (part.source for part in filled if isinstance(part, _Link) or _is_name(part.name))
        return tuple(dict.fromkeys(found))

    @property
    def own_characters(self) -> frozenset[str]:
        """The characters of the text that can be replaced in it: none that the name of a placeholder has, too."""
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
        """Raises TemplateVariableMissing (`missing`: the names) when a needed column is not there."""
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
    """A text whose placeholders know their columns."""

    def __init__(
        self, parts: list[str], fields: Sequence[tuple[int, int, _Placeholder]] = (), links: Sequence[int] = ()
    ) -> None:
        self._parts = parts
        self._fields = fields
        self._links = links
        self.is_constant = not fields  #: the same text for every recipient, but for the link
        self.has_link = bool(links)

    def render(self, values: Sequence[str], link: str = "") -> str:
        """The final text for one recipient's values, in the order of the columns, and opt-out link; raises
        EmptyValue."""
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


def _explain(missing: Sequence[str], columns: Sequence[str]) -> str:
    wanted = ", ".join(f"{{{name}}}" for name in missing)
    known = ", ".join(columns) if columns else "none"
    literal = missing[0].join(("{{", "}}"))
    return (
        f"The text uses {wanted}, but the recipients have no such column (columns: {known}). "
        f"For braces in the text, double them: {literal}."
    )
