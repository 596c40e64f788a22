"""The dashboard's page of a person: name, address, password, language."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.access.people import change_profile
from accounts.dashboard.decorators import MemberRequest, current_account, member_required
from accounts.forms.people import LanguageForm, PasswordForm, ProfileForm
from accounts.models import AuditEvent
from accounts.security import audit
from smsapp.core.exceptions import SmsappError

EVENTS_SHOWN = 10
LANGUAGE_DAYS = 365


@member_required
@require_http_methods(["GET", "POST"])
def profile(request: MemberRequest) -> HttpResponse:
    person, act = request.user, request.POST.get("act", "")
    facts = {name: getattr(person, name) for name in ("first_name", "last_name", "email")}
    form = ProfileForm(person, request.POST if act == "profile" else None, initial=facts)
    password = PasswordForm(person, request.POST if act == "password" else None)
    if form.is_bound and form.is_valid():
        try:
            change_profile(person, current_account(request), form.cleaned_data)
        except SmsappError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Saved."))
            return redirect("profile")
    if password.is_bound and password.is_valid():
        password.save()
        audit.record(
            "user.password_changed",
            account=current_account(request),
            by=person,
            target_type="user",
            target_id=person.username[:60],
        )
        update_session_auth_hash(request, person)
        messages.success(request, _("The password is changed. You are signed out everywhere else."))
        return redirect("profile")
    chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    language = LanguageForm(request.POST if act == "language" else None, initial={"language": chosen})
    if language.is_bound and language.is_valid():
        return _in_language(language.cleaned_data["language"])
    events = AuditEvent.objects.filter(user=person).order_by("-id")[:EVENTS_SHOWN]
    return render(
        request,
        "accounts/profile.html",
        {"form": form, "password": password, "language_form": language, "events": events},
    )


def _in_language(language: str) -> HttpResponse:
    """Show the page in a language from now on, or in the browser's if it is empty."""
    response = redirect("profile")
    if not language:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME, samesite="Lax")
        return response
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=LANGUAGE_DAYS * 24 * 3600,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response
