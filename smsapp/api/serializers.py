"""What every serializer of the API shares."""

import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from django.db.models import Field, Model
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import SkipField, empty
from rest_framework.request import Request

from smsapp.api.shapes import shape_problem
from smsapp.core.exceptions import NAMELESS, Problems, SmsappError, ValidationError, entries_of, root_of

#: Characters that nobody sees and that break lines: in logs, headers, files.
CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
MOST_NAMED = 100  # unknown fields of a request; REST framework takes 20 µs for each
_has_control_character = re.compile(f"[{CONTROL}]").search


Row = TypeVar("Row", bound=Model)
_own = threading.local()


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
    A change refuses null for a field that has nothing to go back to.
    """

    #: Whether a number must be a number: not in forms, where everything is a text.
    is_json: ClassVar[bool] = True
    #: What the OpenAPI document says of its fields together, as JSON Schema; and of those of a partial form.
    rules: ClassVar[Mapping[str, Any]] = {}
    partial_rules: ClassVar[Mapping[str, Any]] = {}
    #: Fields that are texts of several lines, or are read as numbers anyway: they say themselves what is wrong.
    free_text: ClassVar[Collection[str]] = ("message", "values", "phone_numbers")
    valid: dict[str, Any]  #: once it was read: the values of the fields that have their shape

    def run_validation(self, data: Any = empty) -> Any:
        """Read all fields, and what they mean together. Raises our ValidationError, which names every problem."""
        is_empty, data = self.validate_empty_values(data)
        if is_empty:
            return data
        problems = Problems()
        self.valid = self._read(data, problems)
        named = {root_of(entry["field"]) for entry in problems.entries()}
        misshapen = {name: None for name in named if name in self.fields and name in data}
        try:
            values = self.validate(self.valid | misshapen)  # they are given, whatever is wrong with them
        except serializers.ValidationError as error:
            details = serializers.as_serializer_error(error)
            if others := {name: detail for name, detail in details.items() if name not in named}:
                problems.add(shape_problem(others, data))
        problems.refuse()
        return values

    def _read(self, data: Any, problems: Problems) -> dict[str, Any]:
        """The values of the fields that have their shape."""
        if not isinstance(data, Mapping):
            return dict(self.to_internal_value(data))
        values: dict[str, Any] = {}
        details: dict[str, Any] = {
            name or NAMELESS: [ErrorDetail("This field is not known.", code="unknown")]
            for name in sorted(set(data) - set(self.fields))[:MOST_NAMED]
        }
        own: list[ValidationError] = []
        for field in self._writable_fields:
            try:
                self.set_value(values, field.source_attrs, self._value(field, data))
            except SkipField:
                continue
            except serializers.ValidationError as error:
                details[str(field.field_name)] = error.detail
            except ValidationError as problem:
                own.append(problem)
        if details:
            problems.add(shape_problem(details, data))
        for one in own:
            problems.add(one)
        return values

    def _value(self, field: Any, data: Mapping[str, Any]) -> Any:
        """Raises a ValidationError of REST framework or of our own, or SkipField."""
        name = field.field_name
        given = field.get_value(data)
        if self.is_json and given is None and not field.required and not field.allow_null:
            if self.partial and field.default is empty:
                raise serializers.ValidationError([ErrorDetail("This field may not be null.", code="null")])
            given = empty
            if self.partial:
                return field.default() if callable(field.default) else field.default
        if self.is_json and given is not empty and (mistyped := _mistyped(field, given)):
            raise serializers.ValidationError(mistyped)
        value = field.run_validation(given)
        if validate := getattr(self, f"validate_{name}", None):
            value = validate(value)
        if name not in self.free_text and _is_broken(value):
            raise serializers.ValidationError(
                [ErrorDetail("Control characters and line breaks are not allowed here.", code="control_characters")]
            )
        return value


def checked(
    form_class: type[StrictSerializer],
    request: Request,
    meaning: Callable[[dict[str, Any]], object] | None = None,
    *,
    partial: bool = False,
) -> dict[str, Any]:
    """The values of a request's body. Raises ValidationError, which names every problem.

    `meaning`: what the service will check anyway, applied here only where the shape is wrong, to the fields that have
    theirs: so one answer names both kinds of problems.
    """
    form = _form(form_class, partial)
    try:
        return dict(form.run_validation(request.data))
    except ValidationError as error:
        if meaning is not None:
            _add_meaning(error, meaning, form.valid)
        raise


def _form(form_class: type[StrictSerializer], partial: bool) -> StrictSerializer:
    """One of each kind for a thread: REST framework copies every field for every form, which takes longer than to read
    them."""
    forms: dict[tuple[type[StrictSerializer], bool], StrictSerializer] = _own.__dict__.setdefault("forms", {})
    if (form_class, partial) not in forms:
        forms[form_class, partial] = form_class(partial=partial)
    return forms[form_class, partial]


def _add_meaning(error: ValidationError, meaning: Callable[[dict[str, Any]], object], values: dict[str, Any]) -> None:
    """What is wrong with other fields than those of the error."""
    entries = entries_of(error)
    named = {root_of(entry["field"]) for entry in entries}
    try:
        meaning(values)
    except SmsappError as more:
        entries += [entry for entry in entries_of(more) if root_of(entry["field"]) not in named]
    error.details["errors"] = entries


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
