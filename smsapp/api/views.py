"""What every view of the API has that acts for an account."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from accounts.access.permissions import Scoped
from smsapp.api.idempotency import Repeatable
from smsapp.api.query_params import Parameter, declared_by, read_query
from smsapp.api.throttling import Limited


class AccountMixin(Repeatable, Limited, Scoped):
    """First base of each such view. It names its scopes and its query parameters; what it shows and changes belongs to
    the caller's account."""

    #: Query parameters by action of a viewset, or by method; see `smsapp.api.query_params`.
    parameters: ClassVar[Mapping[str, Sequence[Parameter]]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Once the caller may, query and body are read: one that nothing is made of is refused, also where none is
        needed."""
        super().initial(request, *args, **kwargs)
        request.query = read_query(request, declared_by(self, request.method or ""))  # type: ignore[attr-defined]
        if request.method not in SAFE_METHODS:
            request.data  # noqa: B018
