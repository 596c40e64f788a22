"""Rate limits of the API: per key, person, account and address, all counted in one step, told on every answer.

Headers: `RateLimit-Policy` and `RateLimit` of the IETF draft of September 2025, the older `X-RateLimit-*` (of the limit
that is reached first; Reset in seconds from now), and `Retry-After` on a 429. A call answered 429 was not carried out.
"""

from typing import Any

from django.conf import settings
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access.principal import Caller
from smsapp.core.context import current_call
from smsapp.core.exceptions import AuthenticationRefused
from smsapp.core.rate_limits import Bucket, Counted, count

WINDOW = 60  # seconds


class Limited:
    """Mixed into every view with an account: counted as soon as it is known who calls, so refused calls count, too."""

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)  # type: ignore[misc]
        except (AuthenticationFailed, AuthenticationRefused):
            count_refused_credentials(request)
            raise
        if isinstance(request.auth, Caller):
            request._request.caller = request.auth  # type: ignore[attr-defined]  # for the request log
            _count(request, _buckets_of(request.auth))
        else:
            limit_address(request, "address", settings.API_RATE_ADDRESS)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer: Response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        if counted := getattr(request, "counted", None):
            _tell(answer, counted)
        return answer


def limit_address(request: Request, policy: str, limit: int) -> None:
    """Count a call of somebody unknown, by address; raises Throttled."""
    _count(request, [Bucket(policy, f"{policy}:{current_call().network}", limit, WINDOW)])


def count_refused_credentials(request: Request) -> None:
    """Count a wrong key or password by address; raises Throttled where an address tries too many."""
    limit_address(request, "refused", settings.API_RATE_REFUSED)


def _buckets_of(caller: Caller) -> list[Bucket]:
    buckets = [
        Bucket("user", f"user:{caller.user.pk}", settings.API_RATE_USER, WINDOW),
        Bucket("account", f"account:{caller.account.pk}", settings.API_RATE_ACCOUNT, WINDOW),
        Bucket("address", f"address:{current_call().network}", settings.API_RATE_ADDRESS, WINDOW),
    ]
    if caller.key is not None:
        limit = caller.key.rate_limit or settings.API_RATE_KEY
        buckets.insert(0, Bucket("key", f"key:{caller.key.pk}", limit, WINDOW))
    return buckets


def _count(request: Request, buckets: list[Bucket]) -> None:
    counted = count(buckets)
    request.counted = counted  # type: ignore[attr-defined]
    if counted.refused:
        raise Throttled(counted.tightest.resets_in)


def _tell(response: Response, counted: Counted) -> None:
    tightest = counted.tightest
    standings = counted.standings
    response.headers["RateLimit-Policy"] = ", ".join(
        f'"{one.bucket.policy}";q={one.bucket.limit};w={one.bucket.window}' for one in standings
    )
    response.headers["RateLimit"] = ", ".join(
        f'"{one.bucket.policy}";r={one.remaining};t={one.resets_in}' for one in standings
    )
    response.headers["X-RateLimit-Limit"] = str(tightest.bucket.limit)
    response.headers["X-RateLimit-Remaining"] = str(tightest.remaining)
    response.headers["X-RateLimit-Reset"] = str(tightest.resets_in)
