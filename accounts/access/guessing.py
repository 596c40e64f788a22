"""How often passwords can be tried.

by address   failures of unknown people, all names together; an IPv6 network counts as one address
by name      failures from where the person has not signed in before, all addresses together. Beyond them a name can be
             tried a few times a minute: that slows guessing from any number of addresses
known        a browser, or an address, from which the person has signed in counts its own failures only, so nobody who
             guesses locks a person out where they have been before

A try is counted before the password is checked, and given back when it was right: of a hundred tries at once no more
are checked than of a hundred one after the other. django-axes also locks a name at one address.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from smsapp.core.context import current_call
from smsapp.core.exceptions import LoginThrottled
from smsapp.core.rate_limits import Bucket, count, give_back

WINDOW = 900  # seconds
OF_KNOWN = 10  # failures of one known browser or address in WINDOW
SLOW, SLOW_WINDOW = 5, 60  # tries of a name beyond SIGN_IN_FAILURES_NAME, and the seconds for them
COOKIE = "known_browser"
COOKIE_AGE = 365 * 24 * 3600  # seconds
ADDRESS_AGE = 30 * 24 * 3600  # seconds
_SALT = "accounts.known_browser"


@dataclass(frozen=True, slots=True)
class Guess:
    """A counted try. `succeeded` gives it back."""

    buckets: Sequence[Bucket]


def begin(request: HttpRequest, name: str) -> Guess:
    """Count a try to sign in as `name`, a user name. Raises LoginThrottled for one too many."""
    person = User.objects.filter(username=name).values_list("pk", flat=True).first()
    if known := _known(request, person):
        return _counted([Bucket("known", f"guess:known:{known}", OF_KNOWN, WINDOW)])
    key = str(person or f"nobody:{name[:150].lower()}")
    address = Bucket("address", f"guess:address:{current_call().network}", settings.SIGN_IN_FAILURES_ADDRESS, WINDOW)
    usual = [address, Bucket("name", f"guess:name:{key}", settings.SIGN_IN_FAILURES_NAME, WINDOW)]
    if not count(usual).refused:
        return Guess(usual)
    return _counted([address, Bucket("name", f"guess:slow:{key}", SLOW, SLOW_WINDOW)])


def succeeded(request: HttpRequest, guess: Guess, person: User) -> None:
    """Give the try back: the password was right, and the person is known here from now on."""
    give_back(guess.buckets)
    if network := current_call().network:
        cache.set(_address_key(person.pk, network), 1, ADDRESS_AGE)
    if _browser_of(request, person.pk) is None:
        request.new_browser = signing.dumps(  # type: ignore[attr-defined]  # for RememberBrowser
            {"person": person.pk, "browser": secrets.token_hex(8)}, salt=_SALT, compress=False
        )


def confirm(person: User, password: str) -> bool:
    """Return whether this is the password of a signed-in person, who is asked for it again. Raises LoginThrottled."""
    guess = _counted([Bucket("known", f"guess:confirm:{person.pk}", OF_KNOWN, WINDOW)])
    is_right = person.check_password(password)
    if is_right:
        give_back(guess.buckets)
    return is_right


def remember_browser(request: HttpRequest, response: HttpResponse) -> None:
    """Set the cookie that makes a browser known, after a sign-in in it."""
    if text := getattr(request, "new_browser", ""):
        response.set_cookie(
            COOKIE, text, max_age=COOKIE_AGE, httponly=True, secure=settings.SESSION_COOKIE_SECURE, samesite="Lax"
        )


def is_from_known_browser(request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
    """Return whether django-axes leaves this browser alone, because it counts for itself."""
    if COOKIE not in request.COOKIES:
        return False
    name = (credentials or {}).get("username") or ""
    person = User.objects.filter(username=name).values_list("pk", flat=True).first()
    return person is not None and _browser_of(request, person) is not None


def _counted(buckets: Sequence[Bucket]) -> Guess:
    counted = count(buckets)
    if counted.refused:
        raise LoginThrottled(_("Too many failed attempts. Try again later."), retry_after=counted.tightest.resets_in)
    return Guess(buckets)


def _known(request: HttpRequest, person: int | None) -> str:
    """Return the name of the browser or address that a person is known at; empty for a stranger."""
    if person is None:
        return ""
    if browser := _browser_of(request, person):
        return f"{person}:{browser}"
    network = current_call().network
    return f"{person}:{network}" if network and cache.get(_address_key(person, network)) else ""


def _browser_of(request: HttpRequest, person: int) -> str | None:
    try:
        stored = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=COOKIE_AGE)
        return str(stored["browser"]) if stored["person"] == person else None
    except (signing.BadSignature, KeyError, TypeError):
        return None


def _address_key(person: int, network: str) -> str:
    return f"known-address:{person}:{network}"
