"""The API's document for people: `/docs` to try calls, `/redoc` to read. Everything comes from this installation."""

from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny


class DocumentView(SpectacularAPIView):
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
