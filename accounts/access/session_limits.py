"""When a session of the pages ends, and the cookie that makes a browser known.

idle       CONSOLE_IDLE_SECONDS without a call in the console, SESSION_IDLE_SECONDS elsewhere. Calls that a page makes
           by itself, to refresh, do not count
absolute   SESSION_COOKIE_AGE after signing in, however busy
"""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from accounts.access import guessing
from smsapp.core import clock

SIGNED_IN, SEEN = "signed_in_at", "seen_at"  # in the session: seconds since 1970
STEP = 60  # seconds between two writes of SEEN
CONSOLE = "/admin/"


@receiver(user_logged_in)
def begin(request: HttpRequest | None, **kwargs: object) -> None:
    """Start the times of a session. Calls of the API have none."""
    session = getattr(request, "session", {})
    if SESSION_KEY in session:
        session[SIGNED_IN] = session[SEEN] = _now()


class SessionLimitsMiddleware:
    """Ends sessions that are over, before anything is done with them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.COOKIES.get(settings.SESSION_COOKIE_NAME) and request.user.is_authenticated:
            self._check(request)
        response = self.get_response(request)
        guessing.remember_browser(request, response)
        return response

    def _check(self, request: HttpRequest) -> None:
        now, session = _now(), request.session
        seen, signed_in = session.get(SEEN, now), session.get(SIGNED_IN, now)
        idle = settings.SESSION_IDLE_SECONDS
        if request.path_info.startswith(CONSOLE):
            idle = min(idle, settings.CONSOLE_IDLE_SECONDS)
        if now - seen > idle or now - signed_in > settings.SESSION_COOKIE_AGE:
            logout(request)
        elif SEEN not in session:  # begun by an earlier version
            session[SIGNED_IN] = session[SEEN] = now
        elif now - seen >= STEP and request.headers.get("HX-Request") != "true":
            session[SEEN] = now


def _now() -> int:
    return int(clock.about_now().timestamp())
