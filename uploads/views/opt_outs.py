"""The dashboard's page of numbers that must never be texted, and of who left when and how."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, may
from smsapp.core.exceptions import SmsappError
from smsapp.dashboard.pagination import page_of
from uploads import suppressions
from uploads.forms.contacts import OptOutForm, UploadChoiceForm
from uploads.models import OptOutEvent
from uploads.services import suppress_upload


@allowed(Scope.CONTACTS_READ)
@require_http_methods(["GET", "POST"])
def opt_outs(request: MemberRequest) -> HttpResponse:
    """The ledger, newest first; whether a number is suppressed; POST suppresses one."""
    account = current_account(request)
    form = OptOutForm(request.POST or None)
    if request.method == "POST":
        if not may(request.membership, Scope.CONTACTS_WRITE):
            raise PermissionDenied
        if form.is_valid():
            try:
                suppressions.suppress_by(account, request.user, **form.cleaned_data)
            except SmsappError as error:
                form.refuse(error)
            else:
                messages.success(request, _("This number is opted out."))
                return redirect("opt-outs")
    number = request.GET.get("number", "")[:40]
    context = page_of(request, OptOutEvent.objects.filter(account=account).select_related("user")) | {
        "form": form,
        "number": number,
        "found": suppressions.find(account, number) if number else None,
        "uploads": UploadChoiceForm(account),
        "may_write": may(request.membership, Scope.CONTACTS_WRITE),
    }
    return render(request, "uploads/opt_outs.html", context)


@allowed(Scope.CONTACTS_WRITE)
@require_POST
def allow(request: MemberRequest) -> HttpResponse:
    """Take a number off the list again."""
    account = current_account(request)
    found = suppressions.find(account, request.POST.get("phone_number", "")[:40])
    if found is None:
        messages.error(request, _("This number is not on the list."))
    else:
        suppressions.allow_by(account, request.user, found)
        messages.success(request, _("This number can be messaged again."))
    return redirect("opt-outs")


@allowed(Scope.CONTACTS_WRITE)
@require_POST
def from_upload(request: MemberRequest) -> HttpResponse:
    form = UploadChoiceForm(current_account(request), request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose an uploaded file."))
        return redirect("opt-outs")
    try:
        added = suppress_upload(current_account(request), request.user, form.cleaned_data["upload_id"])
    except SmsappError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("%(count)s numbers were added.") % {"count": f"{added:,}"})
    return redirect("opt-outs")
