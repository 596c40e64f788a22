"""State of the whole installation: typed values that are rows of `settings`, which the console shows.

A module declares each of its values once. A row that is missing and an empty one mean the same.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import QuerySet

from accounts.models import Setting
from smsapp.core import clock

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Stored(Generic[Value]):
    """A value and the text that it was read from or stored as."""

    value: Value
    text: str


class SystemState(Generic[Value]):
    """One value.

    `load` reads its text, which is empty where nothing is stored. `is_fixed`: operators may not change it.
    """

    def __init__(
        self,
        key: str,
        description: str,
        *,
        load: Callable[[str], Value],
        dump: Callable[[Value], str],
        is_fixed: bool = True,
    ) -> None:
        self.key, self._description, self._is_fixed = key, description, is_fixed
        self.load, self._dump = load, dump

    @property
    def _rows(self) -> QuerySet[Setting]:
        return Setting.objects.filter(key=self.key)

    def get(self) -> Value:
        return self.read().value

    def read(self) -> Stored[Value]:
        """Return the value with its text, for `compare_and_set`."""
        text = self._rows.values_list("value", flat=True).first() or ""
        return Stored(self.load(text), text)

    def nothing(self) -> Stored[Value]:
        """Return what `read` returns while nothing is stored."""
        return Stored(self.load(""), "")

    def put(self, value: Value) -> None:
        if not self._update(self._rows, self._dump(value)):
            row = self._row(value)
            changed = ["value", "description", "is_fixed", "updated_at"]
            Setting.objects.bulk_create([row], update_conflicts=True, unique_fields=["key"], update_fields=changed)

    def compare_and_set(self, before: Stored[Value], value: Value) -> Stored[Value] | None:
        """Replace `before` in one statement. Return what is stored now, or None if the row has another text."""
        text = self._dump(value)
        return Stored(value, text) if self._update(self._rows.filter(value=before.text), text) else None

    def lock(self) -> Value:
        """Return the value, its row locked until the transaction ends. Creates the row: a missing one has no lock."""
        locked = self._rows.select_for_update().values_list("value", flat=True)
        if not (texts := list(locked)):
            self.make_row()
            texts = list(locked.all())
        return self.load(texts[0])

    def make_row(self) -> None:
        """Create the row as long as nothing is stored, before something that reads or locks it by SQL."""
        self.create(self.load(""))

    def create(self, value: Value) -> None:
        """Store the value unless there is a row already."""
        Setting.objects.bulk_create([self._row(value)], ignore_conflicts=True)

    def delete(self) -> None:
        self._rows.delete()

    def has_row(self) -> bool:
        return self._rows.exists()

    def _update(self, rows: QuerySet[Setting], text: str) -> int:
        return rows.update(
            value=text, description=self._description, is_fixed=self._is_fixed, updated_at=clock.about_now()
        )

    def _row(self, value: Value) -> Setting:
        return Setting(key=self.key, value=self._dump(value), description=self._description, is_fixed=self._is_fixed)


def get_all(*states: SystemState[Any]) -> list[Any]:
    """Return the values of several states by one query, in their order."""
    texts = dict(Setting.objects.filter(key__in=[state.key for state in states]).values_list("key", "value"))
    return [state.load(texts.get(state.key, "")) for state in states]


def object_of(text: str) -> dict[str, Any]:
    """Return the JSON object that we stored; an empty one if nothing is. Raises ValueError for a broken text."""
    stored: dict[str, Any] = json.loads(text) if text else {}
    return stored


def object_or_nothing(text: str) -> dict[str, Any]:
    """Return the JSON object of a stored text; an empty one for anything else, as an operator may leave there."""
    try:
        stored = json.loads(text)
    except ValueError:
        return {}
    return stored if isinstance(stored, dict) else {}
