"""What a draft is to become, beyond what stands on it."""

from django.db import models

from campaigns.models.campaign import Campaign
from uploads.models import ContactList


class DraftPlan(models.Model):
    """That a draft is to be sent again and again, and the contact list that its recipients were taken from: then each
    time takes those who are on it by then. Gone with the draft."""

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, related_name="plan")
    contact_list = models.ForeignKey(ContactList, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    rule = models.JSONField(null=True, blank=True, help_text="Fields of a Rule; empty: it is sent once.")

    def __str__(self) -> str:
        return f"plan of {self.campaign_id}"
