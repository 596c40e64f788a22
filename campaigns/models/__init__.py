"""Campaigns, drafts, recurring campaigns and templates."""

from campaigns.models.campaign import Campaign
from campaigns.models.draft import DraftPlan
from campaigns.models.recurring import RecurringCampaign
from campaigns.models.template import MessageTemplate

__all__ = ["Campaign", "DraftPlan", "MessageTemplate", "RecurringCampaign"]
