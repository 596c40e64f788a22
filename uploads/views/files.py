"""The dashboard's pages of uploaded files."""

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, may
from accounts.security import audit
from smsapp.dashboard.pagination import page_of
from smsapp.lib.csv_safety import attachment
from uploads.audiences import refused_rows
from uploads.choices import RowReason
from uploads.files.corrections import correctable_lines
from uploads.models import Upload
from uploads.samples import sample_of

REFUSED_SHOWN = 50


@allowed(Scope.CONTACTS_READ)
@require_GET
def upload_list(request: MemberRequest) -> HttpResponse:
    found = Upload.objects.for_account(current_account(request)).select_related("user")
    context = {"may_write": may(request.membership, Scope.CAMPAIGNS_WRITE)}
    return render(request, "uploads/list.html", context | page_of(request, found))


@allowed(Scope.CONTACTS_READ)
@require_GET
def upload_detail(request: MemberRequest, upload_id: str) -> HttpResponse:
    upload = _upload(request, upload_id)
    refused = refused_rows(upload.audience, 0, REFUSED_SHOWN) if upload.audience else ()
    context = {
        "upload": upload,
        "sample": sample_of(upload.audience) if upload.audience else None,
        "refused": [(row, RowReason(row.reason).label) for row in refused],
        "may_write": may(request.membership, Scope.CAMPAIGNS_WRITE),
    }
    return render(request, "uploads/upload.html", context)


@allowed(Scope.CONTACTS_READ)
@require_GET
def refused_csv(request: MemberRequest, upload_id: str) -> HttpResponseBase:
    """The rows that are no recipients, to be corrected and uploaded again; with `duplicates`, those that repeat one."""
    upload, duplicates = _upload(request, upload_id), "duplicates" in request.GET
    audit.record(
        "upload.exported", account=upload.account, by=request.user, target_type="upload", target_id=upload.upload_id
    )
    lines = correctable_lines(upload, duplicates=duplicates)
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    name = upload.original_filename.rpartition(".")[0] or "file"
    answer.headers["Content-Disposition"] = attachment(f"{name}-{'duplicates' if duplicates else 'to-correct'}.csv")
    return answer


def _upload(request: MemberRequest, upload_id: str) -> Upload:
    owned = Upload.objects.for_account(current_account(request)).select_related("audience", "user")
    return get_object_or_404(owned, upload_id=upload_id)
