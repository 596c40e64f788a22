"""Signing in and out, and changing between the accounts of a person and between live and test mode."""

from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from accounts.choices import Mode
from accounts.current import MemberRequest, member_required, switch_account, switch_mode
from accounts.forms.people import SignInForm


class SignIn(LoginView):
    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


class SignOut(LogoutView):
    pass


@member_required
@require_POST
def switch(request: MemberRequest) -> HttpResponse:
    """Look at another of one's accounts; 404 for an account one does not belong to."""
    chosen = request.POST.get("account", "")
    for membership in request.memberships:
        if str(membership.account_id) == chosen:
            switch_account(request, membership.account_id)
            return redirect("overview")
    raise Http404


@member_required
@require_POST
def mode(request: MemberRequest) -> HttpResponse:
    """Live or test, for this person until they switch back."""
    switch_mode(request, Mode.TEST if request.POST.get("mode") == Mode.TEST else Mode.LIVE)
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(back, allowed_hosts=None) and back.startswith("/")
    return redirect(back if is_ours else "overview")
