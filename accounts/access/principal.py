"""Who makes a call of the API: what a key or a token came down to, and the only thing views ask."""

from dataclasses import dataclass

from rest_framework.request import Request

from accounts.choices import Mode, Role, Scope
from accounts.models import Account, ApiKey, User


@dataclass(frozen=True, slots=True)
class Caller:
    """`scopes`: what this call may do, already cut to the role. `key`: None for a token or a session."""

    account: Account
    user: User
    mode: Mode
    role: Role
    scopes: frozenset[Scope]
    key: ApiKey | None = None


def caller_of(request: Request) -> Caller:
    """The caller of an authenticated request."""
    assert isinstance(request.auth, Caller)
    return request.auth
