"""Pages by a cursor, however deep: no COUNT, no OFFSET."""

from typing import Any

from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from smsapp.api import cursors
from smsapp.api.query_params import query_of


class NewestFirst(CursorPagination):
    """By primary key. Its views declare the parameters of PAGE."""

    ordering = "-id"

    def get_page_size(self, request: Request) -> int:
        return int(query_of(request)["limit"])

    def decode_cursor(self, request: Request) -> Cursor | None:
        found = query_of(request)["cursor"]
        return Cursor(offset=0, reverse=bool(found[0]), position=str(found[1])) if found else None  # type: ignore[arg-type]

    def encode_cursor(self, cursor: Cursor) -> str:
        """The link to a page. Keys are unique, so there is always a position and never an offset."""
        assert cursor.position is not None
        position = [int(cursor.reverse), int(cursor.position)]
        return cursors.link_to(self.request, position) or ""  # type: ignore[attr-defined]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """The view declares them."""
        return []

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": {**schema, "description": "The rows of this page, newest first."},
                "next": {
                    "type": ["string", "null"],
                    "format": "uri",
                    "description": "Where the next page is; null at the end.",
                },
            },
        }
