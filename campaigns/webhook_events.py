"""Webhook events of campaigns. A single send has none of its own: its messages have theirs."""

from accounts.choices import EventType
from accounts.webhooks import emit
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from smsapp.lib.sentences import as_sentence

EVENT_OF = {
    CampaignStatus.RUNNING: EventType.CAMPAIGN_STARTED,
    CampaignStatus.PAUSED: EventType.CAMPAIGN_PAUSED,
    CampaignStatus.COMPLETED: EventType.CAMPAIGN_COMPLETED,
    CampaignStatus.CANCELLED: EventType.CAMPAIGN_CANCELLED,
}


def emit_event(campaign: Campaign) -> None:
    """Emit the event of the campaign's new status, in the transaction that set it."""
    event_type = EVENT_OF.get(CampaignStatus(campaign.status))
    if event_type is None or campaign.kind != CampaignKind.BULK:
        return
    emit(
        campaign.account_id,
        campaign.mode,
        event_type,
        {
            "bulk_id": campaign.bulk_id,
            "client_reference": campaign.client_reference,
            "name": campaign.name or None,
            "status": campaign.status.upper(),
            "pause_reason": campaign.pause_reason or None,
            "status_detail": as_sentence(campaign.status_detail).english or None,
            "total_recipients": campaign.total_recipients,
            "messages_by_status": campaign.messages_by_status,
        },
    )
