"""Which account a signed-in person looks at: every dashboard view starts here."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render, resolve_url
from django_htmx.http import HttpResponseClientRedirect

from accounts.choices import SCOPES_OF, Mode, Role, Scope
from accounts.models import Account, Membership, User

SESSION_KEY = "account_id"
MODE_KEY = "mode"

P = ParamSpec("P")


class MemberRequest(HttpRequest):
    """A request of a signed-in member; `memberships` are all of theirs, the oldest first and taken by default."""

    user: User
    membership: Membership
    memberships: list[Membership]


View = Callable[Concatenate[MemberRequest, P], HttpResponseBase]


def current_account(request: MemberRequest) -> Account:
    return request.membership.account


def may(membership: Membership, scope: Scope) -> bool:
    """Whether the role has this scope: people may what a key with all scopes of their role may."""
    return scope in SCOPES_OF[Role(membership.role)]


def current_mode(request: HttpRequest) -> Mode:
    """Live, unless the person has switched to test mode."""
    return Mode.TEST if request.session.get(MODE_KEY) == Mode.TEST else Mode.LIVE


def switch_mode(request: HttpRequest, mode: Mode) -> None:
    request.session[MODE_KEY] = mode.value


def switch_account(request: HttpRequest, account_id: int) -> None:
    request.session[SESSION_KEY] = account_id


def memberships_of(request: HttpRequest) -> list[Membership]:
    """All of the signed-in person's, the oldest first."""
    return list(Membership.objects.filter(user=request.user.pk).select_related("account").order_by("pk"))


def chosen_membership(request: HttpRequest) -> Membership | None:
    """The membership that the signed-in person acts under; None for who belongs to no account."""
    memberships = memberships_of(request)
    return _chosen(request, memberships) if memberships else None


def member_required(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Only for members of an account: strangers sign in first, a person without a membership is told so (403)."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_sign_in(request)
        memberships = memberships_of(request)
        if not memberships:
            return render(request, "accounts/no_account.html", status=403)
        request.membership = _chosen(request, memberships)  # type: ignore[attr-defined]
        request.memberships = memberships  # type: ignore[attr-defined]
        return view(request, *args, **kwargs)  # type: ignore[arg-type]

    return wrapper  # type: ignore[return-value]


def allowed(scope: Scope) -> Callable[[View[P]], Callable[Concatenate[HttpRequest, P], HttpResponseBase]]:
    """`member_required`, and only for roles with this scope: others are told so (403)."""

    def decorate(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def checked(request: MemberRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not may(request.membership, scope):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return member_required(checked)  # type: ignore[arg-type]

    return decorate


def _chosen(request: HttpRequest, memberships: list[Membership]) -> Membership:
    chosen = request.session.get(SESSION_KEY)
    return next((membership for membership in memberships if membership.account_id == chosen), memberships[0])


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    # htmx would follow a redirect and put the sign-in page into the fragment it refreshes.
    if request.headers.get("HX-Request") == "true":
        return HttpResponseClientRedirect(resolve_url("sign-in"))
    return redirect_to_login(request.get_full_path())
