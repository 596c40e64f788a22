"""Makes the dashboard installable: its manifest, and a service worker that caches static files and an offline page.

Pages with customer data are never cached.
"""

import hashlib

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET

ICONS = (("img/icon-192.png", "192x192", "any"), ("img/icon-512.png", "512x512", "any maskable"))
KEPT = (
    "vendor/bootstrap/bootstrap.min.css",
    "vendor/icons.svg",
    "css/variables.css",
    "css/base.css",
    "js/theme.js",
    "js/autosave.js",
    "img/logo.svg",
)


@require_GET
@cache_control(max_age=3600, public=True)
def manifest(request: HttpRequest) -> HttpResponse:
    content = {
        "name": "smsapp",
        "short_name": "smsapp",
        "description": _("Text messages, one or half a million."),
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f6f8f9",
        "theme_color": "#0f766e",
        "icons": [
            {"src": static(name), "sizes": sizes, "type": "image/png", "purpose": purpose}
            for name, sizes, purpose in ICONS
        ],
    }
    return JsonResponse(content, content_type="application/manifest+json")


@require_GET
@cache_control(max_age=0, no_cache=True)
def service_worker(request: HttpRequest) -> HttpResponse:
    """Serve the worker from the root: it controls only pages below its own address."""
    kept = [static(name) for name in KEPT]
    version = hashlib.sha256(" ".join(kept).encode()).hexdigest()[:12]  # file names contain a hash of the content
    context = {"kept": kept, "version": version}
    return render(request, "sw.js", context, content_type="text/javascript")


@require_GET
def offline(request: HttpRequest) -> HttpResponse:
    return render(request, "offline.html")
