"""Sentences stored as their English source and parameters, so that each reader sees them in their own language.

    Sentence(gettext_noop("Paused by %(by)s."), by="maria")

The source is also the key of its translations. This module does not depend on Django: `smsapp.core.sentences` sets the
translator, and until then sentences are English.
"""

import json
from collections.abc import Callable
from typing import Any

_BEFORE_PARAMETERS = "\t"  # between source and parameters; a source has none
_LEFT_OUT = "…"


def gettext_noop(source: str) -> str:
    """Mark a source for translators, as Django's function of this name does."""
    return source


class Sentence:
    """An English source with named parameters (numbers or strings). `str` returns it in the active language.

    A parameter named `label` is itself a source, such as the label of a choice, and is translated too.
    """

    __slots__ = ("parameters", "source")
    #: Translates a source into the active language.
    translate: Callable[[str], str] = staticmethod(lambda source: source)

    def __init__(self, source: str, /, **parameters: Any) -> None:
        self.source = source
        self.parameters = parameters

    def __str__(self) -> str:
        translated = Sentence.translate(self.source) if self.source else ""  # gettext("") is the catalogue's header
        if not self.parameters:
            return translated
        label = self.parameters.get("label")
        return translated % (self.parameters | {"label": Sentence.translate(label)} if label else self.parameters)

    def __repr__(self) -> str:
        return f"Sentence({self.source!r}, {self.parameters!r})"

    def __bool__(self) -> bool:
        return bool(self.source)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Sentence):
            return (self.source, self.parameters) == (other.source, other.parameters)
        return str(self) == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __len__(self) -> int:
        return len(str(self))

    def __contains__(self, part: str) -> bool:
        return part in str(self)

    @property
    def english(self) -> str:
        """Return the sentence in English, for programs, logs and the audit log."""
        return self.source % self.parameters if self.parameters else self.source

    def stored(self, length: int) -> str:
        """Return the text for a column of this length; the longest parameters are shortened to make it fit."""
        parameters = dict(self.parameters)
        while len(text := _as_stored(self.source, parameters)) > length:
            longest = max(parameters, key=lambda name: len(str(parameters[name])), default="")
            value = str(parameters.get(longest, "")).removesuffix(_LEFT_OUT)
            if not value:
                return text[:length]
            parameters[longest] = value[: max(0, len(value) - max(1, len(text) - length))] + _LEFT_OUT
        return text


def _as_stored(source: str, parameters: dict[str, Any]) -> str:
    if not parameters:
        return source
    return source + _BEFORE_PARAMETERS + json.dumps(parameters, ensure_ascii=False, separators=(",", ":"))


def read(stored: str) -> Sentence:
    """Return the sentence stored in a column; any other text is a sentence without parameters."""
    source, found, parameters = stored.partition(_BEFORE_PARAMETERS)
    if not found:
        return Sentence(stored)
    try:
        sentence = Sentence(source, **json.loads(parameters))
        str(sentence)
    except (TypeError, ValueError, KeyError):
        return Sentence(stored)
    return sentence if sentence.parameters else Sentence(stored)


def as_sentence(text: object) -> Sentence:
    """Return a sentence unchanged, and any other string as a sentence without parameters."""
    return text if isinstance(text, Sentence) else Sentence(str(text))
