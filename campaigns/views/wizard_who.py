"""The first steps to a campaign: who gets it, and whether the file was read as it was meant. The upload is their state,
so whoever leaves comes back to where they were."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, current_mode
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.forms.wizard import ColumnsForm, FileForm, ListForm, PasteForm
from campaigns.models import Campaign
from campaigns.views.owned import owned_upload
from smsapp.core.exceptions import SmsappError
from smsapp.request_body import takes_file
from uploads.audiences import refused_rows
from uploads.choices import RowReason, UploadStatus
from uploads.models import Upload
from uploads.samples import sample_of
from uploads.services import accept_upload, read_again

SHOWN_ROWS = 8  # of a file, to see whether its columns are right
SHOWN_REFUSED = 10


@takes_file
@allowed(Scope.CAMPAIGNS_WRITE)
@require_http_methods(["GET", "POST"])
def who(request: MemberRequest) -> HttpResponse:
    """A file, pasted numbers or a contact list."""
    account, which = current_account(request), request.POST.get("which", "")
    forms = {
        "file": FileForm(
            account, request.POST if which == "file" else None, request.FILES if which == "file" else None
        ),
        "paste": PasteForm(account, request.POST if which == "paste" else None),
        "list": ListForm(account, request.POST if which == "list" else None),
    }
    if request.method == "POST" and which in forms and forms[which].is_valid():
        chosen = forms[which]
        if isinstance(chosen, ListForm):
            return redirect("wizard-text-of-list", list_id=chosen.cleaned_data["list_id"])
        file = chosen.file() if isinstance(chosen, PasteForm) else chosen.cleaned_data["file"]
        try:
            upload = accept_upload(account, request.user, file, country=chosen.cleaned_data["country"] or None)
        except SmsappError as error:
            chosen.refuse(error, file="rows" if which == "paste" else "file")
        else:
            return redirect("wizard-check", upload_id=upload.upload_id)
    context = {"forms": forms, "step": 1, "drafts": _drafts(request), "max_mib": settings.UPLOAD_MAX_BYTES // 1024**2}
    return render(request, "campaigns/wizard_who.html", context, status=422 if request.method == "POST" else 200)


@allowed(Scope.CAMPAIGNS_WRITE)
@require_http_methods(["GET", "POST"])
def check(request: MemberRequest, upload_id: str) -> HttpResponse:
    """How the file was read; POST reads it again with other columns."""
    upload = owned_upload(request, upload_id)
    form = ColumnsForm(upload, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            again = read_again(upload, request.user, **form.cleaned_data)
        except SmsappError as error:
            form.refuse(error)
        else:
            return redirect("wizard-check", upload_id=again.upload_id)
    context: dict[str, Any] = {"upload": upload, "form": form, "step": 2, "percent": _percent_read(upload)}
    if upload.status == UploadStatus.READY and upload.audience:
        refused = refused_rows(upload.audience, 0, SHOWN_REFUSED)
        context |= {
            "sample": replace(sample := sample_of(upload.audience), rows=sample.rows[:SHOWN_ROWS]),
            "refused": [(row, RowReason(row.reason).label) for row in refused],
        }
    return render(request, "campaigns/wizard_check.html", context)


def _drafts(request: MemberRequest) -> list[Campaign]:
    found = Campaign.objects.for_account(current_account(request), current_mode(request))
    return list(found.filter(kind=CampaignKind.BULK, status=CampaignStatus.DRAFT, resend_of=None).order_by("-id")[:5])


def _percent_read(upload: Upload) -> int:
    return min(100, 100 * upload.bytes_read // upload.file_size) if upload.file_size else 0
