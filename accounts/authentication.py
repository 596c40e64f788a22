"""API keys: the header `X-API-Key` names a key, the key an account, a person and a mode."""

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.caller import Caller
from accounts.choices import SCOPES_OF, Mode, Role, Scope
from accounts.models import Membership, User
from accounts.services import find_api_key, note_use

HEADER = "X-API-Key"


class ApiKeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        text = request.headers.get(HEADER)
        if text is None:
            return None
        key = find_api_key(text)
        if key is None or not key.user.is_active:
            raise AuthenticationFailed("This API key is not valid.")
        membership = Membership.objects.filter(account_id=key.account_id, user_id=key.user_id).first()
        if membership is None:
            raise AuthenticationFailed("The owner of this API key is no longer a member of its account.")
        note_use(key, timezone.now())
        role = Role(membership.role)
        scopes = SCOPES_OF[role] & frozenset(Scope(scope) for scope in key.scopes)
        return key.user, Caller(key.account, key.user, Mode(key.mode), role, scopes, key)

    def authenticate_header(self, request: Request) -> str:
        return f'{HEADER} realm="api"'


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": HEADER}
