"""The dashboard's list of campaigns."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from accounts.choices import Scope
from accounts.dashboard.decorators import MemberRequest, allowed, current_account, current_mode
from campaigns.choices import CampaignKind
from campaigns.forms.queries import CampaignListQuery
from campaigns.models import Campaign
from reports import selectors
from smsapp.dashboard.pagination import page_of

CAMPAIGNS_PER_PAGE = 25
#: Of single sends, of which there may be millions, only the newest come first.
SORTS = {"name": "name", "recipients": "-total_recipients", "delivered": "-delivered"}


@allowed(Scope.CAMPAIGNS_READ)
@require_GET
def campaign_list(request: MemberRequest) -> HttpResponse:
    form = CampaignListQuery(request.GET)
    if not form.is_valid():
        raise Http404
    query = form.cleaned_data
    kind = query["kind"]
    found = Campaign.objects.for_account(current_account(request), current_mode(request)).filter(kind=kind)
    if query["name"]:
        found = found.filter(name__icontains=query["name"])
    if query["status"]:
        found = found.filter(status=query["status"])
    page = page_of(request, found, SORTS if kind == CampaignKind.BULK else None, CAMPAIGNS_PER_PAGE)
    asked = {"kind": kind, "name": query["name"], "status": query["status"]}
    context = page | {
        "form": CampaignListQuery(initial=asked),
        "campaigns": [(campaign, selectors.campaign_progress(campaign, with_rate=False)) for campaign in page["rows"]],
        "kind": kind,
        "is_filtered": bool(query["name"] or query["status"]),
        "filters": urlencode({name: value for name, value in asked.items() if value}),
    }
    return render(request, "campaigns/list.html", context)
