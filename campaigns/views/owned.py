"""What the steps to a campaign begin with: the account's own upload or draft, 404 for any other's."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.dashboard.decorators import Instead, MemberRequest, current_account, require_mode
from accounts.dashboard.written import give_back, written_in
from campaigns.models import Campaign
from campaigns.selectors import is_unfinished
from uploads.models import Upload


def owned_upload(request: MemberRequest, upload_id: str) -> Upload:
    owned = Upload.objects.for_account(current_account(request)).select_related("audience")
    return get_object_or_404(owned, upload_id=upload_id)


def owned_draft(request: MemberRequest, bulk_id: str) -> Campaign:
    """Of the account and mode looked at. What was a draft until somebody confirmed it is shown as what it is now, after
    what the person wrote meanwhile was given back."""
    own = Campaign.objects.filter(account=current_account(request)).select_related("account", "audience__upload")
    campaign = get_object_or_404(own, bulk_id=bulk_id)
    require_mode(request, campaign.mode)
    if not is_unfinished(campaign):
        raise Instead(_no_longer_a_draft(request, bulk_id))
    return campaign


def _no_longer_a_draft(request: MemberRequest, bulk_id: str) -> HttpResponse:
    words = _("This campaign is no longer a draft: it was confirmed, perhaps in another tab.")
    if written_in(request):
        page = reverse("campaign-detail", args=[bulk_id])
        label = _("Go to the campaign")
        return give_back(request, 409, _("Your changes were not saved"), words, leads_to=page, leads_to_label=label)
    messages.info(request, words)
    return redirect("campaign-detail", bulk_id=bulk_id)
