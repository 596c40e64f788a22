"""The last steps to a campaign: when, the receipt, and the button. The draft is their state."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.billing.shortfall import shortfall
from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, current_mode
from accounts.dashboard.once import once
from campaigns import drafts, services
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.forms.rule import rule_initial, rule_words
from campaigns.forms.wizard import TryForm, WhenForm
from campaigns.models import Campaign
from campaigns.scheduling import recurring
from campaigns.scheduling.rule import Rule
from campaigns.validation import CampaignRequest, request_of
from campaigns.views.owned import owned_draft
from campaigns.views.preview import composed_for
from messaging.preflight.preview import of_sample
from messaging.preflight.receipt import preflight
from messaging.restore import detection
from messaging.services import send
from smsapp.core import clock
from smsapp.core.context import current_request_id
from smsapp.core.exceptions import InvalidState, NotFound, SmsappError
from smsapp.dashboard.forms import wall_time
from uploads.samples import sample_of

NEXT_RUNS = 5


@allowed(Scope.CAMPAIGNS_WRITE)
@require_http_methods(["GET", "POST"])
def when(request: MemberRequest, bulk_id: str) -> HttpResponse:
    draft = owned_draft(request, bulk_id)
    form = WhenForm(request.POST or None, initial=_when_of(request, draft))
    if request.method == "POST" and form.is_valid():
        try:
            rule = form.rule()
            if rule is not None:
                rule.check(clock.about_now())
            drafts.change_draft(draft, request.user, form.changes(), rule=rule)
        except SmsappError as error:
            form.refuse(error, schedule_time="at", canary_size="canary_value", canary_percent="canary_value")
        else:
            return redirect("wizard-review", bulk_id=bulk_id)
    return render(request, "campaigns/wizard_when.html", {"draft": draft, "form": form, "step": 4})


@allowed(Scope.CAMPAIGNS_WRITE)
@require_http_methods(["GET", "POST"])
def review(request: MemberRequest, bulk_id: str) -> HttpResponse:
    """The receipt, and the button; POST sends."""
    draft = owned_draft(request, bulk_id)
    rule = drafts.rule_of(draft)
    if request.method == "POST":
        done = _start_recurring(request, draft) if rule else _launch(request, draft)
        if done is not None:
            return done
    context = _review(request, draft, rule)
    return render(request, "campaigns/wizard_review.html", context)


@allowed(Scope.CAMPAIGNS_WRITE)
@require_POST
def try_out(request: MemberRequest, bulk_id: str) -> HttpResponseBase:
    """One real message with the values of the first recipient, to the writer's own phone. Refused, the review is shown
    with the number that was written, and why."""
    detection.look_once()  # may call out, so ahead of the transaction
    draft, form = owned_draft(request, bulk_id), TryForm(request.POST)
    answer = _send_test(request, draft, form)
    if answer.status_code != 422:
        return answer
    context = _review(request, draft, drafts.rule_of(draft)) | {"try_form": form}
    return render(request, "campaigns/wizard_review.html", context, status=422)


@once
def _send_test(request: MemberRequest, draft: Campaign, form: TryForm) -> HttpResponse:
    """To the review; 422, with the reason on the form, if it was refused."""
    if not form.is_valid():
        return HttpResponse(status=422)
    try:
        sent = send(
            current_account(request), request.user, _test_of(request, draft), [form.cleaned_data["phone_number"]]
        )
    except SmsappError as error:
        form.refuse(error, phone_numbers="phone_number")
        return HttpResponse(status=422)
    number = sent.messages[0].phone_number
    messages.success(request, _("A test is on its way to %(number)s.") % {"number": number})
    return redirect("wizard-review", bulk_id=draft.bulk_id)


def _test_of(request: MemberRequest, draft: Campaign) -> CampaignRequest:
    """Raises an SmsappError if the first recipient would get nothing."""
    preview = of_sample(draft.message, sample_of(draft.audience), 0)
    if preview is None or preview.text is None:
        raise InvalidState(_("No text can be made for the first recipient."))
    return CampaignRequest(
        kind=CampaignKind.SINGLE,
        message=preview.text,
        sender_id=draft.sender_id,
        mode=current_mode(request),
        name=f"Test of {draft.title}"[:120],
        request_id=current_request_id(),
    )


@allowed(Scope.CAMPAIGNS_WRITE)
@require_POST
def delete(request: MemberRequest, bulk_id: str) -> HttpResponse:
    drafts.delete_draft(owned_draft(request, bulk_id), request.user)
    messages.success(request, _("The draft is deleted."))
    return redirect("campaign-list")


def _when_of(request: MemberRequest, draft: Campaign) -> dict[str, Any]:
    """What the draft says, its moments on the clocks of its rule's zone, else of UTC."""
    request_ = request_of(draft)
    rule = drafts.rule_of(draft)
    zone = rule.timezone if rule else "UTC"
    values: dict[str, Any] = {
        "when": "again" if rule else "later" if draft.scheduled_at else "now",
        "at": wall_time(draft.scheduled_at, zone),
        "valid_until": wall_time(draft.valid_until, zone),
        "quiet_from": request_.quiet_from,
        "quiet_until": request_.quiet_until,
        "canary": "size" if request_.canary_size else "percent" if request_.canary_percent else "none",
        "canary_value": request_.canary_size or request_.canary_percent or 100,
        "canary_wait": request_.canary_wait // 60,
        "canary_floor": request_.canary_floor,
    }
    return values | (rule_initial(rule) if rule else {})


def _review(request: MemberRequest, draft: Campaign, rule: Rule | None) -> dict[str, Any]:
    context: dict[str, Any] = {
        "draft": draft,
        "step": 5,
        "try_form": TryForm(),
        "undo_seconds": settings.UNDO_SECONDS,
        "rule": rule_words(rule) if rule else "",
        "runs": _next_runs(rule),
        "receipt": None,
        "problem": "",
    }
    if not draft.total_recipients:
        return context | {"problem": _("It has no recipients yet.")}
    try:
        context["receipt"] = receipt = preflight(draft)
    except SmsappError as error:
        return context | {"problem": error.message}
    account, must_ask = current_account(request), rule is not None or receipt.needs_approval
    context["shortfall"] = "" if must_ask else shortfall(account, draft.mode, receipt.price)
    context["try_shortfall"] = shortfall(account, draft.mode)
    return context | composed_for(account, sample_of(draft.audience), draft.message, 0, is_final=True)


def _next_runs(rule: Rule | None) -> list[datetime]:
    if rule is None:
        return []
    return list(islice(rule.after(clock.about_now()), NEXT_RUNS))


def _launch(request: MemberRequest, draft: Campaign) -> HttpResponse | None:
    """To the campaign's page; None, with the reason said, if it was refused."""
    try:
        launched = services.launch(draft, request.user, timedelta(seconds=settings.UNDO_SECONDS))
    except SmsappError as error:
        _say_why(request, error)
        return None
    if launched.status == CampaignStatus.AWAITING_APPROVAL:
        messages.info(request, _("A second person has to approve it. It is on the page Approvals."))
    else:
        messages.success(request, _("Confirmed."))
    return redirect("campaign-detail", bulk_id=launched.bulk_id)


def _start_recurring(request: MemberRequest, draft: Campaign) -> HttpResponse | None:
    """To the page of the recurring campaign; None, with the reason said, if it was refused."""
    try:
        made = recurring.recurring_from_draft(draft, request.user)
    except SmsappError as error:
        _say_why(request, error)
        return None
    messages.success(request, _("It is set up. Each time makes a campaign of its own."))
    return redirect("recurring-detail", recurring_id=made.recurring_id)


def _say_why(request: MemberRequest, error: SmsappError) -> None:
    """Raises Http404 for a draft that is gone."""
    if isinstance(error, NotFound):
        raise Http404 from error
    messages.error(request, error.message)
