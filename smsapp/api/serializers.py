"""What every serializer of the API shares."""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from django.db.models import Field, Model
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty

#: Characters that nobody sees and that break lines: in logs, headers, files.
CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
MOST_NAMED = 100  # unknown fields of a request; REST framework takes 20 µs for each
_has_control_character = re.compile(f"[{CONTROL}]").search


Row = TypeVar("Row", bound=Model)


class Answer(serializers.Serializer[Any]):
    """What an answer holds. A text that is not there is null and never empty: its field says `allow_null=True`."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        for name in self._texts:
            if shown[name] == "":
                shown[name] = None
        return shown

    @cached_property
    def _texts(self) -> list[str]:
        return [
            name
            for name, field in self.fields.items()
            if field.allow_null and isinstance(field, serializers.CharField | serializers.ChoiceField)
        ]


class ModelAnswer(Answer, serializers.ModelSerializer[Row]):
    """A row as an answer. A text that the model may leave blank is null where it is."""

    def build_standard_field(self, field_name: str, model_field: "Field[Any, Any]") -> tuple[type[Any], dict[str, Any]]:
        field_class, options = super().build_standard_field(field_name, model_field)
        if model_field.blank and issubclass(field_class, serializers.CharField | serializers.ChoiceField):
            options["allow_null"] = True
        return field_class, options


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know, by name: a misspelt option never goes unnoticed; values of another JSON type,
    for which REST framework finds a meaning; and control characters.

    null means absent: a field that may be left out is, and in a change goes back to what it is when it is left out.
    """

    #: Whether a number must be a number: not in forms, where everything is a text.
    is_json: ClassVar[bool] = True
    #: What the OpenAPI document says of its fields together, as JSON Schema; and of those of a partial form.
    rules: ClassVar[Mapping[str, Any]] = {}
    partial_rules: ClassVar[Mapping[str, Any]] = {}
    #: Fields that are texts of several lines, or are read as numbers anyway: they say themselves what is wrong.
    free_text: ClassVar[Collection[str]] = ("message", "values", "phone_numbers")

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError(
                {name: [ErrorDetail("This field is not known.", code="unknown")] for name in unknown[:MOST_NAMED]}
            )
        absent = [name for name in list(self.fields.keys()) if self._is_absent(name, data)]
        if self.is_json and isinstance(data, dict):
            data = {name: value for name, value in data.items() if name not in absent}
            known = {name: field for name, field in self.fields.items() if name in data}
            if mistyped := {name: error for name in known if (error := _mistyped(known[name], data[name]))}:
                raise serializers.ValidationError(mistyped)
        values = super().to_internal_value(data) | (self._defaults(absent) if self.partial else {})
        broken = [name for name in values if name not in self.free_text and _is_broken(values[name])]
        if broken:
            detail = ErrorDetail("Control characters and line breaks are not allowed here.", code="control_characters")
            raise serializers.ValidationError({name: [detail] for name in broken})
        return values

    def _is_absent(self, name: str, data: Any) -> bool:
        field = self.fields[name]
        is_null = self.is_json and isinstance(data, dict) and name in data and data[name] is None
        return is_null and not field.required and not field.allow_null

    def _defaults(self, names: Collection[str]) -> dict[str, Any]:
        defaults = {name: self.fields[name].default for name in names}
        return {name: one() if callable(one) else one for name, one in defaults.items() if one is not empty}


_TYPES: tuple[tuple[type[Any], type[Any]], ...] = (
    (serializers.BooleanField, bool),
    (serializers.CharField, str),
    (serializers.IntegerField, int),
)


def _mistyped(field: Any, value: Any) -> Any:
    """What is to be said of a value of another JSON type, as details of REST framework; None if there is nothing."""
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        return dict(_mistyped_parts(field.child, enumerate(value))) or None
    if isinstance(field, serializers.DictField) and isinstance(value, dict):
        return dict(_mistyped_parts(field.child, value.items())) or None
    wanted = next((kind for fields, kind in _TYPES if isinstance(field, fields)), None)
    if value is None or wanted is None or type(value) is wanted:
        return None
    if wanted is int and isinstance(value, float) and value.is_integer():
        return None  # to JSON, 68.0 is a whole number
    return [ErrorDetail(field.error_messages["invalid"], code="invalid")]


def _mistyped_parts(field: Any, parts: Any) -> Iterator[tuple[Any, Any]]:
    return ((place, error) for place, part in parts if (error := _mistyped(field, part)))


def _is_broken(value: Any) -> bool:
    if isinstance(value, str):
        return _has_control_character(value) is not None
    if isinstance(value, Mapping):
        return any(_is_broken(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(_is_broken(part) for part in value)
