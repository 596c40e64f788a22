import uuid

from django.db import models


class Campaign(models.Model):  # noqa: DJ008
    text = models.TextField()
    accepted = models.IntegerField(default=0)
    delivered = models.IntegerField(default=0)


class Message(models.Model):  # noqa: DJ008
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE)
    message_id = models.UUIDField(default=uuid.uuid4, unique=True)
    phone_number = models.CharField(max_length=16, db_index=True)
    text = models.TextField()
    status = models.CharField(max_length=12, default="queued")
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["campaign", "status"])]


class DeliveryReport(models.Model):  # noqa: DJ008
    message = models.ForeignKey(Message, on_delete=models.CASCADE)
    status = models.CharField(max_length=12)
    received_at = models.DateTimeField(auto_now_add=True)
