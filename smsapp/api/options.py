"""OPTIONS: which methods an address of the API takes. The same for everybody and everywhere, without credentials.

A browser's preflight is answered before, by the middleware of CORS.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

from smsapp.middleware import API

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class OptionsMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method != "OPTIONS" or not request.path_info.startswith(API):
            return self.get_response(request)
        try:
            view = resolve(request.path_info).func
        except Resolver404:
            return self.get_response(request)
        return HttpResponse(status=204, headers={"Allow": ", ".join([*methods_of(view), "OPTIONS"])})


def methods_of(view: Any) -> Iterable[str]:
    """The methods that a view takes, in the order of METHODS."""
    actions, cls = getattr(view, "actions", None), getattr(view, "cls", None)
    if actions:
        taken = {method.upper() for method in actions}
    elif cls:
        taken = {method for method in METHODS if hasattr(cls, method.lower())}
    else:
        taken = {"GET"}  # a plain function
    taken |= {"HEAD"} if "GET" in taken else set()
    return [method for method in METHODS if method in taken]
