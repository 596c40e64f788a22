"""OpenAPI: every documented answer stands in the envelope, every operation names the codes it can fail with.

The shared ones follow from the operation itself: what it takes, who may call it. The others are declared by the view,
`@extend_schema(..., extensions=may_fail(TooManyRecipients, MessageTooLong))`.
"""

import inspect
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent, force_instance
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

from smsapp.api.idempotency import HEADER, ORIGINAL_HEADER, REPLAYED_HEADER, Repeatable
from smsapp.api.openapi.parameters import LIMITS, REQUEST_ID, RETRY_AFTER, path_parameters
from smsapp.api.query_params import declared_by
from smsapp.api.serializers import CONTROL, StrictSerializer
from smsapp.api.throttling import Limited
from smsapp.core.error_codes import CATALOGUE
from smsapp.core.exceptions import SmsappError

DECLARED = "x-error-codes"

ALWAYS = ("VALIDATION_ERROR", "NOT_ACCEPTABLE", "INTERNAL_ERROR", "SERVICE_UNAVAILABLE")
OF_A_CALLER = (
    "AUTHENTICATION_REQUIRED",
    "INVALID_CREDENTIALS",
    "API_KEY_EXPIRED",
    "API_KEY_REVOKED",
    "TOKEN_EXPIRED",
    "TOKEN_INVALID",
    "PERMISSION_DENIED",
    "INSUFFICIENT_SCOPE",
    "IP_NOT_ALLOWED",
)
OF_A_CHANGE = ("CSRF_FAILED", "INVALID_JSON", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE")
OF_A_LIMIT = ("RATE_LIMIT_EXCEEDED",)
OF_A_PATH = ("NOT_FOUND",)
OF_A_CURSOR = ("INVALID_CURSOR",)
OF_A_KEY = ("IDEMPOTENCY_KEY_INVALID", "IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_KEY_REUSED", "OUTCOME_UNKNOWN")
#: Answers that may say when to try again.
WAITING = ("409", "429", "503")


def may_fail(*errors: type[SmsappError]) -> dict[str, list[str]]:
    """Codes of an operation beside those that all such operations share."""
    return {DECLARED: [error.code for error in errors]}


class Problem(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="Where the problem is, e.g. `phone_numbers[0]`.")
    code = serializers.CharField(help_text="What is wrong with it, e.g. `REQUIRED`.")
    message = serializers.CharField(help_text="For a person; may change.")
    value = serializers.JSONField(help_text="The value that was refused, shortened; null for secrets.")


class ErrorDetails(serializers.Serializer[Any]):
    """Some codes add facts of their own, named in their description."""

    field = serializers.CharField(required=False, help_text="Where the first problem is, e.g. `phone_numbers[0]`.")
    value = serializers.JSONField(required=False, help_text="The value that was refused, shortened.")
    code = serializers.CharField(required=False, help_text="What is wrong with it, e.g. `REQUIRED`.")
    errors = Problem(  # type: ignore[assignment]
        many=True, required=False, help_text="All problems; of each field, 100 at most."
    )


class ErrorBody(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Stable; decide by it.")
    message = serializers.CharField(help_text="For a person; may change.")
    details = ErrorDetails(help_text="Facts of this failure; empty if there are none.")


class Metadata(serializers.Serializer[Any]):
    request_id = serializers.CharField(help_text="As in the header X-Request-Id.")
    duration_ms = serializers.IntegerField(help_text="What the call took here, in milliseconds.")


@extend_schema_field({"type": "null"})
class NullField(serializers.Field[None, None, None, None]):
    """Nothing, always."""


@extend_schema_field({"type": "boolean", "const": False})
class FalseField(serializers.Field[bool, bool, bool, bool]):
    """false, always."""


class ErrorEnvelope(serializers.Serializer[Any]):
    """The answer to every call that failed."""

    success = FalseField(help_text="false: nothing was done.")
    timestamp = serializers.DateTimeField(help_text="When it was answered, in UTC.")
    data = NullField(help_text="null on every failure.")  # type: ignore[assignment]
    error = ErrorBody(help_text="What went wrong.")
    metadata = Metadata(help_text="About the call itself.")


class EnvelopeSchema(AutoSchema):
    """Wraps the schema of each success in the envelope and adds the failures of each operation, by HTTP status."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json")
            if content and status.startswith("2"):
                content["schema"] = self._success(content["schema"])
        self._add_failures(operation, [*self._shared_codes(operation), *operation.pop(DECLARED, ())])
        for status, response in operation["responses"].items():
            response["headers"] = {name: _shared_header(name) for name in self._headers(status)}
        for parameter in operation.get("parameters", ()):
            if parameter["schema"] == {"type": "string"}:
                parameter["schema"]["pattern"] = r"^[^\x00]*$"
        operation.setdefault("security", [])
        names = [REQUEST_ID, *([HEADER] if self._takes_key() else [])]
        operation.setdefault("parameters", []).extend({"$ref": f"#/components/parameters/{name}"} for name in names)
        return operation

    def _get_request_body(self, direction: str = "request") -> dict[str, Any] | None:
        """A form that has rules cannot be left out, even where none of its fields alone is required."""
        body: dict[str, Any] | None = super()._get_request_body(direction)
        form = force_instance(self.get_request_serializer()) if body else None
        if body and isinstance(form, StrictSerializer) and form.rules and not form.partial:
            body["required"] = True
        return body

    def get_override_parameters(self) -> list[Any]:
        query = [parameter.documented() for parameter in declared_by(self.view, self.method)]
        return [*path_parameters(self.path), *query, *super().get_override_parameters()]

    def get_description(self) -> str:  # type: ignore[override]
        """Return what the handler says of itself, else its view; never what a base class says to programmers."""
        handler = getattr(self.view, getattr(self.view, "action", None) or self.method.lower(), None)
        own = getattr(handler, "__doc__", None) or vars(type(self.view)).get("__doc__")
        return inspect.cleandoc(own) if own else ""

    def get_paginated_name(self, serialized_name: str) -> str:
        return f"{serialized_name}Page"

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        serializer = force_instance(serializer)
        if isinstance(serializer, StrictSerializer) and serializer.is_json:
            for field in serializer.fields.values():
                has_default = not serializer.partial or field.default is not empty
                field.allow_null = field.allow_null or (not field.required and has_default)
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)
        if not type(serializer).__doc__:
            schema.pop("description", None)  # that of a base class
        if isinstance(serializer, StrictSerializer):
            schema["additionalProperties"] = False
            schema |= serializer.partial_rules if serializer.partial else serializer.rules
        for part in schema["properties"].values():
            part.pop("readOnly", None)  # requests and answers are components of their own
            _say_default(part)
        return schema

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        super()._insert_field_validators(field, schema)
        if isinstance(field.root, StrictSerializer):
            _tell_rules(field, schema)

    def _get_serializer_name(self, serializer: Any, direction: str, bypass_extensions: bool = False) -> str:
        name: str = super()._get_serializer_name(serializer, direction, bypass_extensions)
        return name.replace("RequestRequest", "Request")

    def _takes_key(self) -> bool:
        return isinstance(self.view, Repeatable) and self.view.takes_key(self.method)

    def _shared_codes(self, operation: Mapping[str, Any]) -> Iterable[str]:
        yield from ALWAYS
        if operation.get("security"):
            yield from OF_A_CALLER
        if isinstance(self.view, Limited):
            yield from OF_A_LIMIT
        if self.method in ("POST", "PUT", "PATCH", "DELETE"):
            yield from (code for code in OF_A_CHANGE if code != "CSRF_FAILED" or operation.get("security"))
        if "{" in self.path:
            yield from OF_A_PATH
        if any(parameter["name"] == "cursor" for parameter in operation.get("parameters", ())):
            yield from OF_A_CURSOR
        if self._takes_key():
            yield from OF_A_KEY

    def _add_failures(self, operation: dict[str, Any], codes: Iterable[str]) -> None:
        by_status = defaultdict(set)
        for code in codes:
            by_status[CATALOGUE[code].http_status].add(code)
        for status, of_status in sorted(by_status.items()):
            operation["responses"].setdefault(str(status), self._failure(sorted(of_status)))

    def _failure(self, codes: Iterable[str]) -> dict[str, Any]:
        lines = [f"`{code}`: {CATALOGUE[code].when} *Try again?* {CATALOGUE[code].retry}" for code in codes]
        content = {
            "schema": self._reference(ErrorEnvelope),
            "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
        }
        return {"description": "\n\n".join(lines), DECLARED: list(codes), "content": {"application/json": content}}

    def _success(self, data: dict[str, Any]) -> dict[str, Any]:
        """A component for each kind of data, so that generated clients have one class for it."""
        name = f"{data['$ref'].rpartition('/')[2]}Envelope"
        component = ResolvedComponent(
            name=name, type=ResolvedComponent.SCHEMA, object=name, schema=self._envelope_of(data)
        )
        self.registry.register_on_missing(component)
        reference: dict[str, Any] = component.ref
        return reference

    def _envelope_of(self, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["success", "timestamp", "data", "error", "metadata"],
            "properties": {
                "success": {"type": "boolean", "const": True, "description": "true: it is done."},
                "timestamp": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When it was answered, in UTC.",
                },
                "data": {**data, "description": "What was asked for."},
                "error": {"type": "null", "description": "null on every success."},
                "metadata": {**self._reference(Metadata), "description": "About the call itself."},
            },
        }

    def _headers(self, status: str) -> Iterable[str]:
        yield REQUEST_ID
        if isinstance(self.view, Limited):
            yield from LIMITS
        if status in WAITING:
            yield RETRY_AFTER
        if status == "401":
            yield "WWW-Authenticate"
        if self._takes_key() and status.startswith("2"):
            yield from (REPLAYED_HEADER, ORIGINAL_HEADER)

    def _reference(self, serializer: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        component = self.resolve_serializer(serializer(), "response")
        reference: dict[str, Any] = component.ref
        return reference


def _tell_rules(field: Any, schema: dict[str, Any]) -> None:
    """What REST framework and StrictSerializer refuse and drf-spectacular does not say."""
    if isinstance(field, serializers.ListField) and not field.allow_empty:
        schema["minItems"] = max(1, field.min_length or 0)
    elif type(field) is serializers.CharField and "pattern" not in schema:
        is_free = field.field_name in StrictSerializer.free_text or not field.field_name
        allowed, seen = ("[^\\x00]", "[^\\s\\x00]") if is_free else (f"[^{CONTROL}]", f"[^\\s{CONTROL}]")
        one = seen if field.trim_whitespace else allowed
        if not field.allow_blank:
            schema["minLength"] = max(1, field.min_length or 0)
        schema["pattern"] = f"^{allowed}*$" if field.allow_blank else f"^{allowed}*{one}{allowed}*$"


def _say_default(schema: dict[str, Any]) -> None:
    """In words: to generators of clients, a field with a `default` is one that is always there."""
    default = schema.pop("default", None)
    for part in schema.get("oneOf", ()):
        part.pop("default", None)
    if default not in (None, "", [], {}):
        shown = default if isinstance(default, str) else json.dumps(default)
        schema["description"] = f"{schema['description']} Default: `{shown}`."


def _shared_header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}
