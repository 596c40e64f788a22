"""The dashboard's page of one campaign: its live progress, its messages, and what may be done with it."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Prefetch
from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.billing.shortfall import shortfall
from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, may, member_required, require_mode
from accounts.dashboard.once import once, refused
from accounts.models import User
from accounts.security import audit
from accounts.webhooks.endpoints import check_callback
from campaigns import drafts, services
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.forms.queries import MessageFilter, RefusedQuery, ResendForm
from campaigns.models import Campaign
from campaigns.selectors import CampaignAction, allowed_actions, is_unfinished
from messaging.selectors import on_their_way, on_their_way_words, still_to_send, still_to_send_words
from messaging.sending.resending import FAILED_STATUSES, ON_REQUEST
from messaging.services import resend_failed
from reports import selectors
from smsapp.core import clock
from smsapp.core.exceptions import SmsappError
from smsapp.lib.csv_safety import BYTE_ORDER_MARK, attachment, csv_line
from uploads.audiences import refused_rows
from uploads.choices import RowReason
from uploads.models import Audience

REFUSED_PER_PAGE = 100
RESENDABLE_STATUSES = [status.label for status in (*FAILED_STATUSES, *ON_REQUEST)]
CSV_PAGE = 1000  # messages read at once


def _stopped(campaign: Campaign) -> str:
    words = on_their_way_words(on_their_way(campaign))
    return f"{campaign.get_status_display()}. {words}"


def _resumed(campaign: Campaign) -> str:
    words = still_to_send_words(still_to_send(campaign))
    return (
        f"It starts at its time. {words}"
        if campaign.status == CampaignStatus.SCHEDULED
        else f"Sending resumes. {words}"
    )


#: What is done, and what is said of the campaign that it answers with.
ACTIONS: dict[str, tuple[Callable[[Campaign, User], Campaign], Callable[[Campaign], str]]] = {
    "pause": (services.pause, _stopped),
    "resume": (services.resume, _resumed),
    "cancel": (services.cancel, _stopped),
}

_PLACEHOLDER = re.compile(r"(\{[^{}\n]*\})")


@member_required
@require_GET
def campaign_detail(request: MemberRequest, bulk_id: str) -> HttpResponse:
    campaign = _campaign_with_facts(request, bulk_id)
    if is_unfinished(campaign) and may(request.membership, Scope.CAMPAIGNS_WRITE):
        return redirect("wizard-review", bulk_id=bulk_id)
    return render(request, "campaigns/detail.html", _live_context(request, campaign) | _rest_context(request, campaign))


@member_required
@require_GET
def campaign_live(request: MemberRequest, bulk_id: str) -> HttpResponse:
    """Refresh the campaign page: its progress, or all of it if the state is no longer the one that the page shows
    (`shown`), so that its parts agree. In a final state the page stops asking."""
    context = _live_context(request, _campaign(request, bulk_id))
    if context["progress"].mark == request.GET.get("shown"):
        return render(request, "campaigns/_live.html", context)
    campaign = _campaign_with_facts(request, bulk_id)
    context = _live_context(request, campaign) | _rest_context(request, campaign)
    return render(request, "campaigns/_refreshed.html", context)


@member_required
@require_POST
def campaign_act(request: MemberRequest, bulk_id: str, action: str) -> HttpResponse:
    """Pause or resume."""
    return _act(request, _campaign(request, bulk_id), action)


@member_required
@require_POST
def campaign_withdraw(request: MemberRequest, bulk_id: str) -> HttpResponse:
    """Undo: a draft again, as long as nothing has been sent."""
    campaign = _campaign(request, bulk_id)
    _require_writing(request)
    try:
        services.withdraw(campaign, request.user)
    except SmsappError as error:
        messages.error(request, error.message)
        return redirect("campaign-detail", bulk_id=bulk_id)
    messages.success(request, _("It is a draft again. Nothing was sent."))
    return redirect("wizard-review", bulk_id=bulk_id)


@member_required
@require_POST
@once
def campaign_clone(request: MemberRequest, bulk_id: str) -> HttpResponse:
    campaign = _campaign(request, bulk_id)
    _require_writing(request)
    try:
        copy = drafts.clone(campaign, request.user)
    except SmsappError as error:
        messages.error(request, error.message)
        return refused(redirect("campaign-detail", bulk_id=bulk_id))
    messages.success(request, _("This is a copy, to be changed and sent. Nothing is sent yet."))
    return redirect("wizard-text", bulk_id=copy.bulk_id)


@allowed(Scope.MESSAGES_READ)
@require_GET
def campaign_csv(request: MemberRequest, bulk_id: str) -> HttpResponseBase:
    """All messages with their outcomes, in a stream."""
    campaign = _campaign(request, bulk_id)
    audit.record(
        "campaign.exported",
        account=campaign.account,
        by=request.user,
        target_type="campaign",
        target_id=campaign.bulk_id,
    )
    answer = StreamingHttpResponse(_lines(campaign), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = attachment(f"{campaign.name or campaign.bulk_id}.csv")
    return answer


@member_required
@require_http_methods(["GET", "POST"])
def campaign_cancel(request: MemberRequest, bulk_id: str) -> HttpResponse:
    """Cancelling is for good, so it is asked for twice: GET asks, POST does it."""
    campaign = _campaign(request, bulk_id)
    if request.method == "POST":
        return _act(request, campaign, "cancel")
    if CampaignAction.CANCEL not in _allowed_actions(request, campaign):
        return redirect("campaign-detail", bulk_id=bulk_id)
    context = {"campaign": campaign, "progress": selectors.campaign_progress(campaign, with_rate=False)}
    return render(request, "campaigns/cancel.html", context)


@member_required
@require_http_methods(["GET", "POST"])
def campaign_resend(request: MemberRequest, bulk_id: str) -> HttpResponseBase:
    """It costs money and somebody may get a text twice, so it is asked for twice: GET asks, POST does it."""
    campaign = _campaign(request, bulk_id)
    if request.method == "POST":
        return _resend(request, campaign)
    if CampaignAction.RESEND not in _allowed_actions(request, campaign):
        return redirect("campaign-detail", bulk_id=bulk_id)
    outcomes = {outcome.key: outcome for outcome in selectors.campaign_progress(campaign, with_rate=False).outcomes}
    failed = [outcomes[status.label] for status in FAILED_STATUSES if outcomes[status.label].count]
    context = {
        "campaign": campaign,
        "failed": failed,
        "failed_count": sum(outcome.count for outcome in failed),
        "on_request": [outcomes[status.label] for status in ON_REQUEST if outcomes[status.label].count],
        "shortfall": shortfall(current_account(request), campaign.mode),
        "is_over": campaign.valid_until is not None and campaign.valid_until <= clock.about_now(),
    }
    return render(request, "campaigns/resend.html", context)


@member_required
@require_GET
def campaign_refused(request: MemberRequest, bulk_id: str) -> HttpResponse:
    """The rows of the file, or numbers of the request, that are no recipients, with their reasons."""
    campaign = _campaign(request, bulk_id)
    start = _valid(RefusedQuery(request.GET))["start"] or 0
    rows = list(refused_rows(campaign.audience, start, REFUSED_PER_PAGE + 1))
    context = {
        "campaign": campaign,
        "upload": getattr(campaign.audience, "upload", None),
        "rows": [(row, RowReason(row.reason).label) for row in rows[:REFUSED_PER_PAGE]],
        "start": start,
        "next_start": start + REFUSED_PER_PAGE if len(rows) > REFUSED_PER_PAGE else None,
    }
    return render(request, "campaigns/refused.html", context)


def _campaign(request: MemberRequest, bulk_id: str) -> Campaign:
    """A campaign of the account and mode looked at; 404 for another account's."""
    campaign = get_object_or_404(current_account(request).campaigns, bulk_id=bulk_id)
    require_mode(request, campaign.mode)
    return campaign


def _campaign_with_facts(request: MemberRequest, bulk_id: str) -> Campaign:
    """The same with what its page tells besides."""
    owned = current_account(request).campaigns.annotate(created_by=F("user__username"))
    campaign = get_object_or_404(owned.prefetch_related("resends", _audience("audience")), bulk_id=bulk_id)
    require_mode(request, campaign.mode)
    return campaign


def _audience(path: str) -> "Prefetch[str]":
    """With its upload, by a statement of its own: to plan a join of them all takes longer than to ask twice."""
    return Prefetch(path, Audience.objects.select_related("upload"))


def _act(request: MemberRequest, campaign: Campaign, action: str) -> HttpResponse:
    _require_writing(request)
    act, say = ACTIONS[action]
    try:
        moved = act(campaign, request.user)
    except SmsappError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, say(moved))
    return redirect("campaign-detail", bulk_id=campaign.bulk_id)


def _resend(request: MemberRequest, campaign: Campaign) -> HttpResponseBase:
    _require_writing(request)
    try:
        if campaign.callback_url:  # looked up ahead of the transaction
            check_callback(campaign.account, campaign.mode, campaign.callback_url)
    except SmsappError as error:
        messages.error(request, error.message)
        return redirect("campaign-detail", bulk_id=campaign.bulk_id)
    return _resend_once(request, campaign)


@once
def _resend_once(request: MemberRequest, campaign: Campaign) -> HttpResponse:
    statuses = _valid(ResendForm(request.POST))["also"]
    try:
        resend = resend_failed(campaign, request.user, statuses)
    except SmsappError as error:
        messages.error(request, error.message)
        return refused(redirect("campaign-detail", bulk_id=campaign.bulk_id))
    words = "This is the new campaign that sends the failed messages again."
    if resend.status == CampaignStatus.DRAFT:
        words += " It starts by itself when its recipients are gathered."
    messages.success(request, words)
    return redirect("campaign-detail", bulk_id=resend.bulk_id)


def _live_context(request: MemberRequest, campaign: Campaign) -> dict[str, Any]:
    progress, query = selectors.campaign_progress(campaign), _valid(MessageFilter(request.GET))
    status, after = query["status"], query["after"] or 0
    seen = {"shown": progress.mark, "status": status.label if status else "", "after": after}
    return {
        "campaign": campaign,
        "progress": progress,
        "controls": _allowed_actions(request, campaign),
        "status": seen["status"],
        "live_query": urlencode({name: value for name, value in seen.items() if value}),
    }


def _rest_context(request: MemberRequest, campaign: Campaign) -> dict[str, Any]:
    """What stands below the progress."""
    form = MessageFilter(request.GET)
    query = _valid(form)
    after = query["after"] or 0
    context = {
        "text_parts": _text_parts(campaign),
        "upload": getattr(campaign.audience, "upload", None),
        "form": form,
        "page": selectors.message_page(campaign, query["status"], after),
        "is_first_page": not after,
        "may_search": may(request.membership, Scope.MESSAGES_READ),
        "failures": selectors.failures(campaign) if campaign.failed_count else [],
        "history": selectors.history(campaign),
    }
    if campaign.kind == CampaignKind.BULK:
        context |= {
            "countries": selectors.countries(campaign),
            "compared": selectors.compared(campaign),
        }
    return context


def _allowed_actions(request: MemberRequest, campaign: Campaign) -> set[CampaignAction]:
    return allowed_actions(campaign, request.user, request.membership.role, RESENDABLE_STATUSES)


def _require_writing(request: MemberRequest) -> None:
    if not may(request.membership, Scope.CAMPAIGNS_WRITE):
        raise PermissionDenied


def _lines(campaign: Campaign) -> Iterator[bytes]:
    yield BYTE_ORDER_MARK + csv_line(
        ["row", "phone_number", "status", "reason", "segments", "sent_at", "done_at", "message_id"]
    )
    after: int | None = 0
    while after is not None:
        page = selectors.message_page(campaign, None, after, size=CSV_PAGE)
        for row in page.rows:
            yield csv_line(
                [
                    row.row,
                    row.phone_number,
                    row.status,
                    row.reason,
                    row.segment_count,
                    *(moment.isoformat() if moment else "" for moment in (row.sent_at, row.done_at)),
                    row.message_id,
                ]
            )
        after = page.next_after


def _text_parts(campaign: Campaign) -> list[tuple[str, bool]]:
    """The text cut into (part, is a placeholder of this audience)."""
    columns = {str(column).strip().casefold() for column in campaign.audience.columns}
    return [
        (part, part.startswith("{") and part.strip("{}").split("|")[0].strip().casefold() in columns)
        for part in _PLACEHOLDER.split(campaign.message)
        if part
    ]


def _valid(form: forms.Form) -> dict[str, Any]:
    """An address with nonsense in it names no page."""
    if not form.is_valid():
        raise Http404
    return form.cleaned_data
