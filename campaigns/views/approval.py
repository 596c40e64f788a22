"""The dashboard's pages of approval: campaigns that wait for a second person, and the decision on one of them."""

from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from accounts.billing.shortfall import shortfall
from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, current_mode, require_mode
from campaigns import services
from campaigns.approval import is_approver, may_approve, require_approver
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from campaigns.transitions import require_may
from campaigns.views.preview import composed_for
from messaging.preflight.receipt import preflight
from smsapp.core.exceptions import SmsappError
from uploads.samples import sample_of

MOST_WAITING = 100
MAX_COMMENT = 200


@allowed(Scope.CAMPAIGNS_READ)
@require_GET
def approvals(request: MemberRequest) -> HttpResponse:
    """Campaigns that wait for a second person, the oldest first."""
    own = Campaign.objects.for_account(current_account(request), current_mode(request))
    waiting = own.filter(status=CampaignStatus.AWAITING_APPROVAL).order_by("id")
    by, role = request.user, request.membership.role
    rows = waiting.select_related("approval_requested_by")[:MOST_WAITING]
    context = {
        "rows": [(campaign, may_approve(campaign, by, role)) for campaign in rows],
        "is_approver": is_approver(by, role),
    }
    return render(request, "campaigns/approvals.html", context)


@allowed(Scope.CAMPAIGNS_WRITE)
@require_http_methods(["GET", "POST"])
def decide(request: MemberRequest, bulk_id: str) -> HttpResponse:
    """What would be sent, and the two buttons; POST approves or rejects what was on the page."""
    campaign = get_object_or_404(current_account(request).campaigns.select_related("account"), bulk_id=bulk_id)
    require_mode(request, campaign.mode)
    if request.method != "POST":
        return _page(request, campaign)
    act, seen = request.POST.get("act"), request.POST.get("approval_hash", "")
    if act not in ("approve", "reject") or (act == "approve" and not seen):
        raise BadRequest("The form does not say what was decided, and on what.")
    comment = request.POST.get("comment", "").strip()[:MAX_COMMENT]
    if act == "reject" and not comment:
        return _page(request, campaign, comment_missing=True)
    try:
        messages.success(request, _decided(request, campaign, comment))
    except SmsappError as error:
        messages.error(request, _words(error))
    return redirect("campaign-detail", bulk_id=bulk_id)


def _decided(request: MemberRequest, campaign: Campaign, comment: str) -> str:
    """Return what is said of it. Raises an SmsappError."""
    if request.POST["act"] == "reject":
        rejected = services.reject(campaign, request.user, comment)
        if rejected.status == CampaignStatus.CANCELLED:
            return _("Rejected. It is cancelled, with your comment.")
        return _("Rejected. It is a draft again, with your comment.")
    undo_for = timedelta(seconds=settings.UNDO_SECONDS)
    approved = services.approve(campaign, request.user, request.POST["approval_hash"][:64], comment, undo_for)
    return _("Approved. %(state)s.") % {"state": approved.get_status_display()}


def _words(error: SmsappError) -> str:
    """Why nothing can be decided."""
    if error.details.get("current_status", CampaignStatus.AWAITING_APPROVAL) != CampaignStatus.AWAITING_APPROVAL:
        return _("This campaign no longer waits for approval.")
    return error.message


def _page(request: MemberRequest, campaign: Campaign, *, comment_missing: bool = False) -> HttpResponse:
    try:
        require_may(campaign, CampaignStatus.RUNNING, CampaignStatus.AWAITING_APPROVAL)
        require_approver(campaign, request.user)
    except SmsappError as error:
        messages.info(request, _words(error))
        return redirect("campaign-detail", bulk_id=campaign.bulk_id)
    context = {
        "campaign": campaign,
        "undo_seconds": settings.UNDO_SECONDS,
        "comment_missing": comment_missing,
    } | composed_for(campaign.account, sample_of(campaign.audience), campaign.message, 0, is_final=True)
    try:
        context["receipt"] = receipt = preflight(campaign)
        context["shortfall"] = shortfall(campaign.account, campaign.mode, receipt.price)
    except SmsappError as error:
        context["problem"] = error.message
    return render(request, "campaigns/approve.html", context, status=422 if comment_missing else 200)
