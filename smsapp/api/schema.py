"""OpenAPI: every documented answer stands in the envelope, every operation names the error shape."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers


class Problem(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="Where the problem is, e.g. `phone_numbers[0]`.")
    value = serializers.JSONField(help_text="The value that was refused, shortened.")


class ErrorBody(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Stable; decide by it.")
    message = serializers.CharField(help_text="For a person; may change.")
    details = Problem(help_text="`field` and `value` of the first problem, all of them in `errors`.")


class Metadata(serializers.Serializer[Any]):
    request_id = serializers.CharField()
    duration_ms = serializers.IntegerField()


class ErrorEnvelope(serializers.Serializer[Any]):
    success = serializers.BooleanField(default=False)
    timestamp = serializers.DateTimeField()
    data = serializers.JSONField(allow_null=True, default=None)  # type: ignore[assignment]
    error = ErrorBody()
    metadata = Metadata()


class EnvelopeSchema(AutoSchema):
    """Wraps the schema of each success in the envelope and adds the error answer to each operation."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json")
            if content and status.startswith("2"):
                content["schema"] = _success(content["schema"])
        operation["responses"]["default"] = {
            "description": "Any failure, in the same envelope.",
            "content": {"application/json": {"schema": self._reference(ErrorEnvelope)}},
        }
        return operation

    def _reference(self, serializer: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        component = self.resolve_serializer(serializer(), "response")
        reference: dict[str, Any] = component.ref
        return reference


def _success(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["success", "timestamp", "data", "error", "metadata"],
        "properties": {
            "success": {"type": "boolean", "const": True},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": schema,
            "error": {"type": "null"},
            "metadata": {
                "type": "object",
                "properties": {"request_id": {"type": "string"}, "duration_ms": {"type": "integer"}},
            },
        },
    }
