"""The console's page on the hold: why nothing is sent, what waits, and the two buttons."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.security import sending_hold
from messaging.restore import recovery, release
from smsapp.core.exceptions import InvalidState

MAX_REASON = 200


@admin.site.admin_view
@require_http_methods(["GET", "POST"])
def sending(request: HttpRequest) -> HttpResponse:
    """Superusers only. The comparison before a release is done by a worker; this page shows how far it is."""
    if not request.user.is_superuser:
        raise PermissionDenied
    if request.method == "POST":
        _act(request)
        return redirect("sending")
    context = admin.site.each_context(request) | {
        "title": "Sending",
        "held": sending_hold.current(),
        "release": release.progress(),
        "unchecked": release.unchecked(),
        "waiting": release.waiting(),
        "recovered": recovery.REPORT.get(),
        "max_reason": MAX_REASON,
    }
    return TemplateResponse(request, "admin/sending.html", context)


def _act(request: HttpRequest) -> None:
    user: User = request.user  # type: ignore[assignment]
    by = user.get_username()
    if request.POST.get("act") == "hold":
        reason = request.POST.get("reason", "").strip()[:MAX_REASON]
        if not reason:
            messages.error(request, "Say why sending is held.")
            return
        sending_hold.hold(reason, by, user=user)
        messages.success(request, "Sending is held: no call begins any more.")
    elif request.POST.get("act") == "release":
        try:
            step = release.request(by, force="force" in request.POST, user=user)
        except InvalidState as error:
            messages.error(request, error.message)
            return
        messages.success(request, "Comparing with the provider." if step else "Sending is released.")
