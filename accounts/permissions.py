"""What a call may do, from the role of the person whose key it carries."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import key_of
from accounts.choices import SENDING_ROLES


class MaySend(BasePermission):
    """Owner, admin or sender of the key's account: a key never may more than its owner."""

    message = "The owner of this API key may not send for this account."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.auth is None:
            return False
        key = key_of(request)
        return key.user.memberships.filter(account_id=key.account_id, role__in=SENDING_ROLES).exists()
