"""What the steps to a campaign begin with: the account's own upload or draft, 404 for any other's."""

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _

from accounts.current import Instead, MemberRequest, current_account, require_mode
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from uploads.models import Upload


def owned_upload(request: MemberRequest, upload_id: str) -> Upload:
    owned = Upload.objects.for_account(current_account(request)).select_related("audience")
    return get_object_or_404(owned, upload_id=upload_id)


def owned_draft(request: MemberRequest, bulk_id: str) -> Campaign:
    """Of the account and mode looked at. What was a draft until somebody confirmed it is shown as what it is now."""
    own = Campaign.objects.filter(account=current_account(request)).select_related("account", "audience__upload")
    campaign = get_object_or_404(own, bulk_id=bulk_id)
    require_mode(request, campaign.mode)
    if campaign.status != CampaignStatus.DRAFT or campaign.resend_of_id is not None:
        messages.info(request, _("This campaign is no longer a draft: it was confirmed, perhaps in another tab."))
        raise Instead(redirect("campaign-detail", bulk_id=bulk_id))
    return campaign
