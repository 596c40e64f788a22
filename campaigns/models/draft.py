"""The part of a draft that its campaign has no fields for."""

from django.db import models

from campaigns.models.campaign import Campaign
from uploads.models import ContactList


class DraftPlan(models.Model):
    """The rule of a draft that becomes a recurring campaign, and the contact list of its recipients.

    Each run of the recurring campaign reads the list anew. The plan is deleted with its draft.
    """

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, related_name="plan")
    contact_list = models.ForeignKey(ContactList, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    rule = models.JSONField(null=True, blank=True, help_text="Fields of a Rule; empty: it is sent once.")

    def __str__(self) -> str:
        return f"plan of {self.campaign_id}"
