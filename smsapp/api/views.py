"""What every view of the API has that acts for an account."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from accounts.permissions import Scoped
from smsapp.api.repeats import Repeatable
from smsapp.api.throttling import Limited


class AccountMixin(Repeatable, Limited, Scoped):
    """First base of each such view. It names its scopes; what it shows and changes belongs to the caller's account."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Once the caller may, the body is read: one that nothing is made of is refused, also where none is needed."""
        super().initial(request, *args, **kwargs)
        if request.method not in SAFE_METHODS:
            request.data  # noqa: B018
