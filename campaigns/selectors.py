"""What a person may do with a campaign, as pages offer it. The services decide once more when it is done."""

from collections.abc import Collection
from enum import StrEnum

from accounts.choices import SCOPES_OF, Role, Scope
from accounts.models import User
from campaigns.approval import may_approve
from campaigns.choices import CAMPAIGN, RESUMABLE, Actor, CampaignKind, CampaignStatus
from campaigns.models import Campaign
from campaigns.resends import is_resendable
from campaigns.transitions import may_withdraw


class CampaignAction(StrEnum):
    APPROVE = "approve"
    WITHDRAW = "withdraw"
    PAUSE = "pause"
    RESUME = "resume"
    RESEND = "resend"
    CLONE = "clone"
    CANCEL = "cancel"


def allowed_actions(campaign: Campaign, by: User, role: str, resendable: Collection[str]) -> set[CampaignAction]:
    """Return the actions that `by` may take on the campaign in its present state.

    `role`: that of `by` in the campaign's account. `resendable`: names of message statuses that can be sent again.
    """
    if Scope.CAMPAIGNS_WRITE not in SCOPES_OF[Role(role)]:
        return set()
    status = CampaignStatus(campaign.status)
    is_bulk = campaign.kind == CampaignKind.BULK

    def may_become(target: CampaignStatus) -> bool:
        return CAMPAIGN.may(status, target, Actor.PERSON)

    is_allowed = {
        CampaignAction.APPROVE: status == CampaignStatus.AWAITING_APPROVAL and may_approve(campaign, by, role),
        CampaignAction.WITHDRAW: may_withdraw(campaign),
        CampaignAction.PAUSE: may_become(CampaignStatus.PAUSED),
        CampaignAction.RESUME: status in RESUMABLE,
        CampaignAction.RESEND: is_resendable(campaign, resendable),
        CampaignAction.CLONE: is_bulk and status != CampaignStatus.DRAFT,
        CampaignAction.CANCEL: may_become(CampaignStatus.CANCELLED),
    }
    return {action for action, allowed in is_allowed.items() if allowed}


def is_unfinished(campaign: Campaign) -> bool:
    """Return whether a person still edits this draft. A resend starts by itself."""
    return campaign.status == CampaignStatus.DRAFT and campaign.resend_of_id is None
