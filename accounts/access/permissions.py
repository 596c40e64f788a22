"""What a call may do: each view names the scopes that reading and writing need."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.access.principal import Caller
from accounts.choices import SCOPES_OF, Scope
from smsapp.core.exceptions import InsufficientScope, PermissionDenied

if TYPE_CHECKING:  # REST framework imports this module while it imports its views
    from rest_framework.views import APIView


class Scoped:
    """Mixed into every API view that is not open to everybody. A missing scope allows nobody."""

    read_scope: ClassVar[Scope | None] = None
    write_scope: ClassVar[Scope | None] = None
    #: Scopes of single actions of a viewset, by the action's name, where they differ.
    action_scopes: ClassVar[Mapping[str, Scope]] = {}


def scope_needed(view: "APIView", method: str) -> Scope | None:
    """Return the scope that a method of this view needs; None if nobody may call it."""
    action: str = getattr(view, "action", None) or ""
    scopes: Mapping[str, Scope] = getattr(view, "action_scopes", {})
    if action in scopes:
        return scopes[action]
    return getattr(view, "read_scope" if method in SAFE_METHODS else "write_scope", None)


class HasScope(BasePermission):
    """The default of every view, so a view that names no scope is closed."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        method = request.method or ""
        if not hasattr(view, method.lower()):
            return True  # REST framework answers 405
        scope = scope_needed(view, method)
        if not isinstance(request.auth, Caller) or scope is None:
            return False
        caller = request.auth
        if scope not in SCOPES_OF[caller.role]:
            raise PermissionDenied(
                _("This call needs the scope %(scope)s, which the role %(role)s does not have.")
                % {
                    "scope": scope.value,
                    "role": caller.role.value,
                },
                required_scope=scope.value,
            )
        if scope not in caller.scopes:
            raise InsufficientScope(
                f"This call needs the scope {scope.value}, which this key does not have.", required_scope=scope.value
            )
        return True
