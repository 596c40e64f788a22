"""The API's document for people: `/docs` to try calls, `/redoc` to read. Everything comes from this installation."""

from threading import Lock
from typing import Any, ClassVar

from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny


class _MadeOnce(SchemaGenerator):
    """Once in each process and by one thread, for it takes a second and drf-spectacular makes but one at a time."""

    lock: ClassVar[Lock] = Lock()
    made: ClassVar[Any] = None

    def get_schema(self, request: Any = None, public: bool = False) -> Any:
        """The same whoever asks."""
        with self.lock:
            if _MadeOnce.made is None:
                _MadeOnce.made = super().get_schema(None, public=True)
        return _MadeOnce.made


class DocumentView(SpectacularAPIView):
    generator_class = _MadeOnce
    authentication_classes = ()
    permission_classes = (AllowAny,)


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
