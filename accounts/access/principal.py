"""The caller of the API, whether by key, token or session: the only thing that views ask for."""

from dataclasses import dataclass

from rest_framework.request import Request

from accounts.choices import Mode, Role, Scope
from accounts.models import Account, ApiKey, User


@dataclass(frozen=True, slots=True)
class Caller:
    """`scopes`: what this call may do, already limited to the role. `key`: None for a token or a session."""

    account: Account
    user: User
    mode: Mode
    role: Role
    scopes: frozenset[Scope]
    key: ApiKey | None = None


def caller_of(request: Request) -> Caller:
    """Return the caller of an authenticated request."""
    assert isinstance(request.auth, Caller)
    return request.auth
