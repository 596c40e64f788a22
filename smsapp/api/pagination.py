"""Pages by a cursor, however deep: no COUNT, no OFFSET."""

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from smsapp.api.query import whole_number
from smsapp.exceptions import ValidationError


class NewestFirst(CursorPagination):
    ordering = "-id"
    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"

    def get_page_size(self, request: Request) -> int:
        return whole_number(request, "limit", self.page_size, 1, self.max_page_size)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Raises ValidationError for anything that is no cursor of ours; its position is a primary key."""
        text = request.query_params.get(self.cursor_query_param)
        try:
            cursor: Cursor | None = super().decode_cursor(request)
        except NotFound as error:
            raise ValidationError("This is no cursor of ours.", "cursor", text) from error
        position = cursor.position if cursor else None
        if text is not None and (cursor is None or not _is_key(position)):
            raise ValidationError("This is no cursor of ours.", "cursor", text)
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link(), "previous": self.get_previous_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": link, "previous": link},
        }


def _is_key(position: object) -> bool:
    text = str(position)
    return position is None or (text.isascii() and text.isdigit() and len(text) <= 18)
