"""The dashboard: campaigns, their live progress, their messages."""

import re
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Prefetch
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.current import MemberRequest, current_account, may_send, member_required
from accounts.models import User
from campaigns import resends, services
from campaigns.choices import CAMPAIGN, Actor, CampaignStatus
from campaigns.forms import CampaignListQuery, MessageFilter, RefusedQuery, ResendForm
from campaigns.models import Campaign
from messaging.choices import MessageStatus
from messaging.identity import number_of
from messaging.models import Message
from messaging.resending import FAILED_STATUSES, ON_REQUEST
from messaging.selectors import on_their_way, on_their_way_words, still_to_send, still_to_send_words
from messaging.services import resend_failed
from reports import selectors
from smsapp.exceptions import SmsappError
from uploads.choices import RowReason
from uploads.models import Audience
from uploads.services import refused_rows

CAMPAIGNS_PER_PAGE = 25
REFUSED_PER_PAGE = 100


def _stopped(campaign: Campaign) -> str:
    words = on_their_way_words(on_their_way(campaign))
    return f"{campaign.get_status_display()}. {words}"


def _resumed(campaign: Campaign) -> str:
    words = still_to_send_words(still_to_send(campaign))
    return f"It starts at its time. {words}" if campaign.status == CampaignStatus.SCHEDULED else f"It goes on. {words}"


#: What is done, and what is said of the campaign that it answers with.
ACTIONS: dict[str, tuple[Callable[[Campaign, User], Campaign], Callable[[Campaign], str]]] = {
    "pause": (services.pause, _stopped),
    "resume": (services.resume, _resumed),
    "cancel": (services.cancel, _stopped),
}

_PLACEHOLDER = re.compile(r"(\{[^{}\n]*\})")


@member_required
@require_GET
def campaign_list(request: MemberRequest) -> HttpResponse:
    query = _valid(CampaignListQuery(request.GET))
    account, mode, kind = current_account(request), query["mode"], query["kind"]
    found = Campaign.objects.for_account(account, mode).filter(kind=kind).order_by("-id")
    if query["before"]:
        found = found.filter(pk__lt=query["before"])
    page = list(found[: CAMPAIGNS_PER_PAGE + 1])
    shown = page[:CAMPAIGNS_PER_PAGE]
    context = {
        "campaigns": [(campaign, selectors.campaign_progress(campaign, with_rate=False)) for campaign in shown],
        "mode": mode,
        "kind": kind,
        "is_first_page": not query["before"],
        "next_before": shown[-1].pk if len(page) > len(shown) else None,
    }
    return render(request, "campaigns/list.html", context)


@member_required
@require_GET
def campaign_detail(request: MemberRequest, bulk_id: str) -> HttpResponse:
    campaign = _campaign_with_facts(request, bulk_id)
    form = MessageFilter(request.GET)
    query = _valid(form)
    status, after = query["status"], query["after"] or 0
    context = _live_context(request, campaign) | {
        "text_parts": _text_parts(campaign),
        "upload": getattr(campaign.audience, "upload", None),
        "form": form,
        "status": status.label if status else "",
        "page": selectors.message_page(campaign, status, after),
        "is_first_page": not after,
    }
    return render(request, "campaigns/detail.html", context)


@member_required
@require_GET
def campaign_live(request: MemberRequest, bulk_id: str) -> HttpResponse:
    """The part of the campaign page that refreshes itself; the answer of a final state asks for no more."""
    return render(request, "campaigns/_live.html", _live_context(request, _campaign(request, bulk_id)))


@member_required
@require_POST
def campaign_act(request: MemberRequest, bulk_id: str, action: str) -> HttpResponse:
    """Pause or resume."""
    return _act(request, _campaign(request, bulk_id), action)


@member_required
@require_http_methods(["GET", "POST"])
def campaign_cancel(request: MemberRequest, bulk_id: str) -> HttpResponse:
    """Cancelling is for good, so it is asked for twice: GET asks, POST does it."""
    campaign = _campaign(request, bulk_id)
    if request.method == "POST":
        return _act(request, campaign, "cancel")
    if "cancel" not in _controls(request, campaign):
        return redirect("campaign-detail", bulk_id=bulk_id)
    context = {"campaign": campaign, "progress": selectors.campaign_progress(campaign, with_rate=False)}
    return render(request, "campaigns/cancel.html", context)


@member_required
@require_http_methods(["GET", "POST"])
def campaign_resend(request: MemberRequest, bulk_id: str) -> HttpResponse:
    """It costs money and somebody may get a text twice, so it is asked for twice: GET asks, POST does it."""
    campaign = _campaign(request, bulk_id)
    if request.method == "POST":
        return _resend(request, campaign)
    if "resend" not in _controls(request, campaign):
        return redirect("campaign-detail", bulk_id=bulk_id)
    outcomes = {outcome.key: outcome for outcome in selectors.campaign_progress(campaign, with_rate=False).outcomes}
    failed = [outcomes[status.label] for status in FAILED_STATUSES if outcomes[status.label].count]
    context = {
        "campaign": campaign,
        "failed": failed,
        "failed_count": sum(outcome.count for outcome in failed),
        "on_request": [outcomes[status.label] for status in ON_REQUEST if outcomes[status.label].count],
        "is_over": campaign.valid_until is not None and campaign.valid_until <= timezone.now(),
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


@member_required
@require_GET
def message_detail(request: MemberRequest, message_id: str) -> HttpResponse:
    number = number_of(message_id)
    if number is None:
        raise Http404
    owned = Message.objects.filter(campaign__account=current_account(request))
    wanted = owned.select_related("campaign").prefetch_related(_audience("campaign__audience"))
    message = get_object_or_404(wanted, pk=number)
    context = {
        "message": message,
        "campaign": message.campaign,
        "status": MessageStatus(message.status).label,
        "timeline": selectors.message_timeline(message),
    }
    return render(request, "campaigns/message.html", context)


def _campaign(request: MemberRequest, bulk_id: str) -> Campaign:
    """A campaign of the account looked at, live or test; 404 for any other."""
    return get_object_or_404(current_account(request).campaigns, bulk_id=bulk_id)


def _campaign_with_facts(request: MemberRequest, bulk_id: str) -> Campaign:
    """The same with what its page tells besides."""
    owned = current_account(request).campaigns.annotate(created_by=F("user__username"))
    return get_object_or_404(owned.prefetch_related("resends", _audience("audience")), bulk_id=bulk_id)


def _audience(path: str) -> "Prefetch[str]":
    """With its upload, by a statement of its own: to plan a join of them all takes longer than to ask twice."""
    return Prefetch(path, Audience.objects.select_related("upload"))


def _act(request: MemberRequest, campaign: Campaign, action: str) -> HttpResponse:
    if not may_send(request.membership):
        raise PermissionDenied
    act, say = ACTIONS[action]
    try:
        moved = act(campaign, request.user)
    except SmsappError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, say(moved))
    return redirect("campaign-detail", bulk_id=campaign.bulk_id)


def _resend(request: MemberRequest, campaign: Campaign) -> HttpResponse:
    if not may_send(request.membership):
        raise PermissionDenied
    statuses = _valid(ResendForm(request.POST))["also"]
    try:
        resend = resend_failed(campaign, request.user, statuses)
    except SmsappError as error:
        messages.error(request, error.message)
        return redirect("campaign-detail", bulk_id=campaign.bulk_id)
    words = "This is the new campaign that sends the failed messages again."
    if resend.status == CampaignStatus.DRAFT:
        words += " It starts by itself when its recipients are gathered."
    messages.success(request, words)
    return redirect("campaign-detail", bulk_id=resend.bulk_id)


def _live_context(request: MemberRequest, campaign: Campaign) -> dict[str, Any]:
    return {
        "campaign": campaign,
        "progress": selectors.campaign_progress(campaign),
        "controls": _controls(request, campaign),
    }


def _controls(request: MemberRequest, campaign: Campaign) -> set[str]:
    """The actions that this person may take on this campaign now."""
    if not may_send(request.membership):
        return set()
    status = CampaignStatus(campaign.status)
    controls = set()
    if CAMPAIGN.may(status, CampaignStatus.PAUSED, Actor.PERSON):
        controls.add("pause")
    if status in (CampaignStatus.PAUSED, CampaignStatus.MISSED):
        controls.add("resume")
    if CAMPAIGN.may(status, CampaignStatus.CANCELLED, Actor.PERSON):
        controls.add("cancel")
    if resends.is_resendable(campaign, [status.label for status in (*FAILED_STATUSES, *ON_REQUEST)]):
        controls.add("resend")
    return controls


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
