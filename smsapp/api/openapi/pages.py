"""The API's document: `/schema` for programs, `/docs` to try calls, `/redoc` to read. Everything comes from this
installation."""

import gzip
import hashlib
import re
from threading import Lock
from typing import Any, ClassVar, NamedTuple

import orjson
from csp.decorators import csp_update
from django.http import HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.decorators import method_decorator
from django.utils.encoding import force_bytes
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from smsapp.api.envelope import EnvelopeRenderer
from smsapp.api.query_params import choice, read_query
from smsapp.api.throttling import Limited, limit_address

FORM = choice("format", ("json", "yaml"), "The form of the document, if not the one of the Accept header.")
CALLS = 120  # a minute, from one address
FRESH = 300  # seconds for which whoever has it need not ask again

_takes_gzip = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))").search


class Document(NamedTuple):
    """One form of the document, as it is sent."""

    body: bytes
    packed: bytes
    etag: str


class JsonRenderer(OpenApiJsonRenderer):
    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return orjson.dumps(data, default=str)


class PlainJsonRenderer(JsonRenderer):
    media_type = "application/json"


class YamlRenderer(OpenApiYamlRenderer):
    charset = "utf-8"


class PlainYamlRenderer(YamlRenderer):
    media_type = "application/yaml"


class DocumentView(Limited, APIView):
    """YAML, or JSON for who asks for it. Made and packed once in each process: making it takes a second, and writing
    it down a quarter of one."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    renderer_classes = (YamlRenderer, PlainYamlRenderer, JsonRenderer, PlainJsonRenderer)

    _schema: ClassVar[Any] = None
    _made: ClassVar[dict[str, Document]] = {}
    _lock: ClassVar[Lock] = Lock()

    def perform_authentication(self, request: Request) -> None:
        limit_address(request, "document", CALLS)

    def get_format_suffix(self, **kwargs: Any) -> str | None:
        """The form that the query asks for, which goes before the Accept header. Raises ValidationError."""
        wanted: str | None = read_query(self.request, (FORM,))[FORM.name]
        return wanted

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponseBase:
        renderer: BaseRenderer = request.accepted_renderer
        document = self._document(renderer)
        is_packed = bool(_takes_gzip(request.headers.get("Accept-Encoding", "")))
        answer = HttpResponse(
            document.packed if is_packed else document.body,
            content_type=f"{renderer.media_type}; charset=utf-8",
            headers={
                "Cache-Control": f"public, max-age={FRESH}",
                "Content-Disposition": f'inline; filename="smsapp.{renderer.format}"',
                "ETag": document.etag,
            },
        )
        if is_packed:
            answer.headers["Content-Encoding"] = "gzip"
        patch_vary_headers(answer, ("Accept", "Accept-Encoding"))
        return get_conditional_response(request._request, document.etag, response=answer) or answer

    def handle_exception(self, exc: Exception) -> Response:
        """A failure is no document: it has the shape of every other."""
        self.request.accepted_renderer = EnvelopeRenderer()
        self.request.accepted_media_type = EnvelopeRenderer.media_type
        return super().handle_exception(exc)

    @classmethod
    def _document(cls, renderer: BaseRenderer) -> Document:
        if (found := cls._made.get(renderer.media_type)) is None:
            with cls._lock:  # drf-spectacular makes one at a time
                if cls._schema is None:
                    cls._schema = SchemaGenerator().get_schema(public=True)
                body = force_bytes(renderer.render(cls._schema))
                digest = hashlib.blake2b(body, digest_size=16).hexdigest()
                found = cls._made[renderer.media_type] = Document(body, gzip.compress(body), f'W/"{digest}"')
        return found


class SwaggerView(SpectacularSwaggerSplitView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    url_name = "api-schema"


#: Redoc searches in a worker it makes itself, and writes its own style sheet while it runs. The emblem of its maker,
#: which it asks for from outside, stays refused.
_REDOC = csp_update({"worker-src": ["'self'", "blob:"], "style-src": ["'self'", "'unsafe-inline'"]})


@method_decorator(_REDOC, name="dispatch")
class RedocView(SpectacularRedocView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    url_name = "api-schema"
