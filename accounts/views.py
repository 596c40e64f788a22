"""Signing in and out, and changing between the accounts of a person."""

from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.current import MemberRequest, member_required, switch_account
from accounts.forms import SignInForm


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
            return redirect("campaign-list")
    raise Http404
