"""Who calls: the header `X-API-Key`, a bearer token, or the session of the dashboard."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request

from accounts.access.api_keys import check_api_key, note_use, scopes_of
from accounts.access.principal import Caller
from accounts.access.tokens import check_access_token
from accounts.choices import SCOPES_OF, Mode, Role
from accounts.dashboard.decorators import last_workspace, memberships_of
from accounts.models import Membership, User
from smsapp.core import clock
from smsapp.core.context import current_call
from smsapp.core.exceptions import AuthenticationRefused, CsrfFailed, PermissionDenied, SmsappError

if TYPE_CHECKING:
    from django.http import HttpRequest

API_KEY_HEADER = "X-API-Key"
KEY_STARTS = ("sms_live_", "sms_test_")
JWT_START = "eyJ"  # beginning of every JWT
WHERE = f"Send an API key as `{API_KEY_HEADER}: sms_…`, an access token as `Authorization: Bearer …`."
WORKSPACE_HEADER = "X-Workspace"


class ApiKeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        text = request.headers.get(API_KEY_HEADER)
        if text is None:
            return None
        if text[:7].lower() == "bearer " or text.startswith(JWT_START):
            raise AuthenticationRefused(f"The header {API_KEY_HEADER} takes an API key and nothing else. {WHERE}")
        key, role = check_api_key(text, current_call().ip_address)
        note_use(key, clock.about_now())
        return key.user, Caller(key.account, key.user, Mode(key.mode), role, SCOPES_OF[role] & scopes_of(key), key)

    def authenticate_header(self, request: Request) -> str:
        return f'{API_KEY_HEADER} realm="api"'


class TokenAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if text.strip().startswith(KEY_STARTS):
            raise AuthenticationRefused(f"This is an API key and no access token. {WHERE}")
        family, role = check_access_token(text.strip())
        return family.user, Caller(family.account, family.user, Mode.LIVE, role, SCOPES_OF[role])

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class SessionAuthentication(BaseAuthentication):
    """Authenticates pages in the browser of somebody signed in.

    A call that may change something needs a CSRF token, and names account and mode as the dashboard's addresses do.
    Without them a call reads from the person's last workspace.
    """

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        page: HttpRequest = request._request
        user = getattr(page, "user", None)
        if not isinstance(user, User) or not user.is_active:  # lazy: isinstance sees through it
            return None
        _require_csrf_token(page)
        membership, mode = _named(page, memberships_of(page))
        role = Role(membership.role)
        return user, Caller(membership.account, user, mode, role, SCOPES_OF[role])


def may_call(page: "HttpRequest") -> bool:
    """Return whether the call's key or token is valid, for decisions ahead of the API's views. Not counted as a use."""
    key = page.headers.get(API_KEY_HEADER)
    scheme, _, token = page.headers.get("Authorization", "").partition(" ")
    try:
        if key is not None:
            check_api_key(key, current_call().ip_address)
        elif scheme.lower() == "bearer":
            check_access_token(token.strip())
        else:
            return False
    except SmsappError:
        return False
    return True


def _named(page: "HttpRequest", memberships: list[Membership]) -> tuple[Membership, Mode]:
    if not memberships:
        raise PermissionDenied(_("You are not a member of an account."))
    named = page.headers.get(WORKSPACE_HEADER, "")
    if not named and page.method in ("GET", "HEAD", "OPTIONS"):
        named = str(last_workspace(page, memberships))
    account, __, mode = named.partition("/")
    for membership in memberships:
        if membership.account.public_id == account and mode in Mode.values:
            return membership, Mode(mode)
    raise PermissionDenied(
        f"A call with the session of the dashboard names its account and mode in the header {WORKSPACE_HEADER}, "
        "as the address of the page does after /a/: 0f3a9c2e1b/live."
    )


def _require_csrf_token(page: "HttpRequest") -> None:
    check = CSRFCheck(lambda request: None)  # type: ignore[arg-type]
    check.process_request(page)
    if check.process_view(page, None, (), {}):  # type: ignore[arg-type]
        raise CsrfFailed("A call with the session of the dashboard needs its CSRF token.")


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": API_KEY_HEADER,
            "description": "An API key, `sms_live_…` or `sms_test_…`. What is sent with a test key goes to the "
            "simulator and costs nothing.",
        }


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of `POST /auth/token`; it acts for one person in one account.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = SessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "The session of somebody signed in to the dashboard. Whatever changes something needs the "
            f"headers `X-CSRFToken` and `{WORKSPACE_HEADER}`, the account and mode as `<account>/live`.",
        }
