"""What the steps to a campaign begin with: the account's own upload or draft, 404 for any other's."""

from django.shortcuts import get_object_or_404

from accounts.current import MemberRequest, current_account, require_mode
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from uploads.models import Upload


def owned_upload(request: MemberRequest, upload_id: str) -> Upload:
    owned = Upload.objects.for_account(current_account(request)).select_related("audience")
    return get_object_or_404(owned, upload_id=upload_id)


def owned_draft(request: MemberRequest, bulk_id: str) -> Campaign:
    """Of the account and mode looked at; 404 for what is no draft that a person makes."""
    drafts_of = Campaign.objects.filter(account=current_account(request), status=CampaignStatus.DRAFT, resend_of=None)
    draft = get_object_or_404(drafts_of.select_related("account", "audience__upload"), bulk_id=bulk_id)
    require_mode(request, draft.mode)
    return draft
