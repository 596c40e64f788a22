"""At the link of an invitation: a person decides whether to join, or somebody new becomes a person."""

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.access import invitations
from accounts.choices import Mode
from accounts.dashboard.workspace import Workspace
from accounts.forms.people import NewPersonForm
from accounts.models import Invitation, User
from smsapp.core.exceptions import NotFound, SmsappError


@never_cache
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """GET changes nothing."""
    try:
        invited = invitations.find(secret)
    except NotFound:
        return render(request, "accounts/invitation.html", {"invitation": None}, status=404)
    if isinstance(request.user, User):
        return _for_person(request, request.user, invited, secret)
    if User.objects.filter(email=invited.email).exists():
        return redirect_to_login(request.get_full_path())
    return _for_somebody_new(request, invited, secret)


def _for_person(request: HttpRequest, person: User, invited: Invitation, secret: str) -> HttpResponse:
    if request.method == "POST":
        try:
            membership = invitations.accept(secret, person)
        except SmsappError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, _("You are now a member of %(account)s.") % {"account": membership.account.name})
            return redirect(Workspace(membership.account.public_id, Mode.LIVE).address())
    context = {"invitation": invited, "is_for_them": person.email == invited.email}
    return render(request, "accounts/invitation.html", context)


def _for_somebody_new(request: HttpRequest, invited: Invitation, secret: str) -> HttpResponse:
    form = NewPersonForm(User(email=invited.email), request.POST or None)
    if form.is_valid():
        try:
            invitations.accept_as_new(secret, form.cleaned_data["new_password1"])
        except SmsappError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, _("Sign in with %(email)s and your password.") % {"email": invited.email})
        return redirect("sign-in")
    return render(request, "accounts/invitation.html", {"invitation": invited, "form": form})
