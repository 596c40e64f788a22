"""Every dashboard view begins here: who looks at a page, of which account and mode, and whether they may."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from accounts.choices import SCOPES_OF, Mode, Role, Scope
from accounts.dashboard.workspace import Workspace, site_url, workspace_of
from accounts.dashboard.written import give_back
from accounts.models import Account, Membership, User

SESSION_KEY = "workspace"  # the person's last workspace
#: The field of every form that says which workspace's page it was on. It protects from a form that is sent to another
#: workspace than its page showed: nothing is done for a customer, or in a mode, that the person did not have in view.
RENDERED_FOR = "rendered_for"

P = ParamSpec("P")


class MemberRequest(HttpRequest):
    """A request of a signed-in member. `memberships`: all of theirs, the oldest first."""

    user: User
    membership: Membership
    memberships: list[Membership]
    workspace: Workspace


View = Callable[Concatenate[MemberRequest, P], HttpResponseBase]


class OtherMode(Exception):
    """The address names something of the account that belongs to the other mode."""

    def __init__(self, mode: str) -> None:
        super().__init__(mode)
        self.mode = Mode(mode)


class Instead(Exception):
    """Stop the view, do nothing, and answer with `response`."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(response.status_code)
        self.response = response


def current_account(request: MemberRequest) -> Account:
    return request.membership.account


def current_mode(request: HttpRequest) -> Mode:
    """Return the mode that the address names; live outside of any workspace."""
    workspace = workspace_of(request)
    return workspace.mode if workspace else Mode.LIVE


def require_mode(request: HttpRequest, mode: str) -> None:
    """Raise OtherMode, so that a page is shown in its own mode and the other's does nothing."""
    if mode != current_mode(request):
        raise OtherMode(mode)


def may(membership: Membership, scope: Scope) -> bool:
    """Return whether the role has this scope."""
    return scope in SCOPES_OF[Role(membership.role)]


def memberships_of(request: HttpRequest) -> list[Membership]:
    """Return all memberships of the signed-in person, the oldest first."""
    return list(Membership.objects.filter(user=request.user.pk).select_related("account").order_by("pk"))


def last_workspace(request: HttpRequest, memberships: list[Membership]) -> Workspace:
    """Return the person's last workspace, if they still belong there; else live in their oldest account."""
    account, _slash, mode = str(request.session.get(SESSION_KEY, "")).partition("/")
    if any(membership.account.public_id == account for membership in memberships) and mode in Mode.values:
        return Workspace(account, Mode(mode))
    return Workspace(memberships[0].account.public_id, Mode.LIVE)


def member_required(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Allow only members of the account that the address names.

    Strangers sign in first; a person without a membership is told so (403); an account of others is a 404. An address
    outside of a workspace leads to the person's last one. A change is refused (409) unless its form belongs to the
    page's workspace.
    """

    @wraps(view)
    def wrapper(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_sign_in(request)
        memberships = memberships_of(request)
        if not memberships:
            return render(request, "accounts/no_account.html", status=403)
        workspace = workspace_of(request)
        if workspace is None:
            return _elsewhere(request, last_workspace(request, memberships))
        request.membership = _membership_in(workspace, memberships)  # type: ignore[attr-defined]
        request.memberships = memberships  # type: ignore[attr-defined]
        rendered_for = request.POST.get(RENDERED_FOR)
        if rendered_for is not None and rendered_for != str(workspace):
            return _refused(request)
        # A page that a person opens, not one in another tab that refreshes itself.
        is_opened = request.method == "GET" and not _is_fragment(request)
        if is_opened and last_workspace(request, memberships) != workspace:
            request.session[SESSION_KEY] = str(workspace)
        try:
            return view(request, *args, **kwargs)  # type: ignore[arg-type]
        except OtherMode as other:
            return _elsewhere(request, Workspace(workspace.account, other.mode))
        except Instead as instead:
            return instead.response

    return wrapper  # type: ignore[return-value]


def allowed(scope: Scope) -> Callable[[View[P]], Callable[Concatenate[HttpRequest, P], HttpResponseBase]]:
    """Like `member_required`, for roles with this scope: others are told so (403)."""

    def decorate(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def checked(request: MemberRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not may(request.membership, scope):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return member_required(checked)  # type: ignore[arg-type]

    return decorate


def _membership_in(workspace: Workspace, memberships: list[Membership]) -> Membership:
    for membership in memberships:
        if membership.account.public_id == workspace.account:
            return membership
    raise Http404


def _elsewhere(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """Redirect to the same page in another workspace; nothing is done there that was requested here."""
    if request.method not in ("GET", "HEAD"):
        return _refused(request)
    query = request.META.get("QUERY_STRING", "")
    return redirect(workspace.address(request.path_info) + (f"?{query}" if query else ""))


def _refused(request: HttpRequest) -> HttpResponse:
    """Answer that nothing was done, with what the person wrote."""
    words = _(
        "This form belongs to another account or mode. Nothing was sent, changed or charged. Choose the account and"
        " mode above, and open the page again."
    )
    return give_back(
        request, 409, _("Nothing was done"), words, leads_to=reverse("overview"), leads_to_label=_("Go to the overview")
    )


def _is_fragment(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    # htmx would follow a redirect and put the sign-in page into the fragment it refreshes.
    if _is_fragment(request):
        return HttpResponseClientRedirect(site_url("sign-in"))
    return redirect_to_login(request.get_full_path(), site_url("sign-in"))
