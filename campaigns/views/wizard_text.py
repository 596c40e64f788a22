"""The text of a campaign, beside what the first recipients would get. POST makes the draft, or changes it."""

from typing import Any

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, current_mode
from accounts.dashboard.once import FIELD, once
from campaigns import drafts
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.forms.wizard import TextForm
from campaigns.models import Campaign, MessageTemplate
from campaigns.recipients import RecipientSource
from campaigns.validation import CampaignRequest
from campaigns.views.owned import owned_draft, owned_upload
from campaigns.views.preview import composed_for
from smsapp.core.context import current_request_id
from smsapp.core.exceptions import SmsappError
from smsapp.lib.digits import whole_number
from smsapp.lib.text import MAX_TEXT_LENGTH, normalise
from uploads.choices import UploadStatus
from uploads.contacts import list_of
from uploads.samples import Sample, sample_of, sample_of_list

MAX_INDEX = 49
MADE = "drafts_made"  # in the session: token of the form and id of the draft, of the last ones


@allowed(Scope.CAMPAIGNS_WRITE)
@require_http_methods(["GET", "POST"])
def text_of_upload(request: MemberRequest, upload_id: str) -> HttpResponseBase:
    upload = owned_upload(request, upload_id)
    if upload.status != UploadStatus.READY or upload.audience is None:
        return redirect("wizard-check", upload_id=upload_id)
    return _new_text(
        request, RecipientSource(upload_id=upload_id), sample_of(upload.audience), upload.original_filename
    )


@allowed(Scope.CAMPAIGNS_WRITE)
@require_http_methods(["GET", "POST"])
def text_of_list(request: MemberRequest, list_id: str) -> HttpResponseBase:
    try:
        contact_list = list_of(current_account(request), list_id)
    except SmsappError:
        raise Http404 from None
    return _new_text(request, RecipientSource(list_id=list_id), sample_of_list(contact_list), contact_list.name)


@allowed(Scope.CAMPAIGNS_WRITE)
@require_http_methods(["GET", "POST"])
def text(request: MemberRequest, bulk_id: str) -> HttpResponse:
    """Of a draft."""
    draft = owned_draft(request, bulk_id)
    initial = {"name": draft.name, "sender_id": draft.sender_id, "message": draft.message}
    form = TextForm(current_account(request), request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            drafts.change_draft(draft, request.user, _text_of(form))
        except SmsappError as error:
            form.refuse(error)
        else:
            return redirect("wizard-when", bulk_id=bulk_id)
    return _text_page(request, form, sample_of(draft.audience), draft=draft)


@allowed(Scope.CAMPAIGNS_WRITE)
@require_POST
def composed(request: MemberRequest) -> HttpResponse:
    """Counter and preview of the text as it stands, with the values of one of the first recipients."""
    sample = _sample_named(request)
    index = min(whole_number(request.POST.get("index", "")) or 0, MAX_INDEX)
    message = request.POST.get("message", "")[: 20 * MAX_TEXT_LENGTH]
    context = composed_for(current_account(request), sample, message, index, is_final="is_final" in request.POST)
    return render(request, "campaigns/_composed_row.html", context | {"sender": request.POST.get("sender_id", "")[:16]})


def _new_text(request: MemberRequest, wanted: RecipientSource, sample: Sample, named: str) -> HttpResponseBase:
    """POST makes the draft. Who comes back with Back and writes something else changes it, also to what it was first:
    that is no repetition."""
    earlier = _made_by_this_form(request)
    return text(request, earlier) if earlier is not None else _first_text(request, wanted, sample, named)


@once
def _first_text(request: MemberRequest, wanted: RecipientSource, sample: Sample, named: str) -> HttpResponse:
    account = current_account(request)
    form = TextForm(account, request.POST or None, initial={"name": named.rpartition(".")[0] or named})
    if request.method == "POST" and form.is_valid():
        values = CampaignRequest(
            kind=CampaignKind.BULK, mode=current_mode(request), request_id=current_request_id(), **_text_of(form)
        )
        try:
            draft, _refused = drafts.create_draft(account, request.user, values, wanted)
        except SmsappError as error:
            form.refuse(error)
        else:
            _remember(request, draft)
            return redirect("wizard-when", bulk_id=draft.bulk_id)
    return _text_page(request, form, sample, wanted=wanted)


def _made_by_this_form(request: MemberRequest) -> str | None:
    """The id of the draft, as long as it is one."""
    bulk_id = dict(request.session.get(MADE, ())).get(request.POST.get(FIELD, ""))
    drafts_of = Campaign.objects.filter(account=current_account(request), status=CampaignStatus.DRAFT)
    return bulk_id if bulk_id and drafts_of.filter(bulk_id=bulk_id).exists() else None


def _remember(request: MemberRequest, draft: Campaign) -> None:
    if token := request.POST.get(FIELD):
        request.session[MADE] = [*request.session.get(MADE, ())[-9:], (token, draft.bulk_id)]


def _text_page(
    request: MemberRequest,
    form: TextForm,
    sample: Sample,
    draft: Campaign | None = None,
    wanted: RecipientSource | None = None,
) -> HttpResponse:
    account = current_account(request)
    context = {
        "form": form,
        "step": 3,
        "sample": sample,
        "draft": draft,
        "wanted": wanted,
        "sender": form["sender_id"].value() or "",
        "templates": MessageTemplate.objects.filter(account=account).order_by("name")[:100],
    }
    context |= composed_for(current_account(request), sample, str(form["message"].value() or ""), 0)
    return render(request, "campaigns/wizard_text.html", context)


def _text_of(form: TextForm) -> dict[str, Any]:
    data = form.cleaned_data
    return {"name": data["name"], "sender_id": data["sender_id"], "message": normalise(data["message"])}


def _sample_named(request: MemberRequest) -> Sample:
    """Of the upload, list or campaign that the form names: a draft, or one that waits for its approval."""
    upload_id, list_id, bulk_id = (request.POST.get(name, "") for name in ("upload_id", "list_id", "bulk_id"))
    if upload_id:
        upload = owned_upload(request, upload_id)
        if upload.audience is not None:
            return sample_of(upload.audience)
    if list_id:
        try:
            return sample_of_list(list_of(current_account(request), list_id))
        except SmsappError:
            raise Http404 from None
    if bulk_id:
        shown = CampaignStatus.DRAFT, CampaignStatus.AWAITING_APPROVAL
        own = Campaign.objects.for_account(current_account(request), current_mode(request)).select_related("audience")
        return sample_of(get_object_or_404(own, bulk_id=bulk_id, status__in=shown).audience)
    raise Http404
