"""API keys: the header `X-API-Key` names a key, the key an account, a person and a mode."""

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import Account, ApiKey, User
from accounts.services import find_api_key, note_use

HEADER = "X-API-Key"


class ApiKeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        text = request.headers.get(HEADER)
        if text is None:
            return None
        key = find_api_key(text)
        if key is None or not key.user.is_active:
            raise AuthenticationFailed("This API key is not valid.")
        note_use(key, timezone.now())
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return f'{HEADER} realm="api"'


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": HEADER}


def key_of(request: Request) -> ApiKey:
    """The key a call came with."""
    assert isinstance(request.auth, ApiKey)
    return request.auth


def account_of(request: Request) -> Account:
    return key_of(request).account
