"""When a session of the pages ends by itself, and the cookie by which a browser is known.

idle       CONSOLE_IDLE_SECONDS without a call in the console, SESSION_IDLE_SECONDS elsewhere. What a page asks for by
           itself, to show the newest state, is no sign of a person
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
    """Not of the API, where nobody is signed in to a session."""
    session = getattr(request, "session", {})
    if SESSION_KEY in session:
        session[SIGNED_IN] = session[SEEN] = _now()


class SessionLimitsMiddleware:
    """After authentication: ends what has ended before anything is done with it."""

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
