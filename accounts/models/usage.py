"""What was called."""

from django.db import models

from accounts.models.people import Account, User


class ApiUsageLog(models.Model):
    """One call of the API, refused ones too; written in batches and kept for some weeks."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    api_key_prefix = models.CharField(max_length=12, blank=True)
    mode = models.CharField(max_length=4, blank=True)
    endpoint = models.CharField(max_length=120, help_text="The route, without the ids in it.")
    method = models.CharField(max_length=10)
    status_code = models.PositiveSmallIntegerField()
    error_code = models.CharField(max_length=40, blank=True)
    response_time_ms = models.PositiveIntegerField()
    request_size = models.PositiveIntegerField(help_text="Bytes of the body.")
    response_size = models.PositiveIntegerField(help_text="Bytes of the body.")
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "api_usage_logs"
        indexes = [
            models.Index(fields=["account", "-id"], name="api_usage_account"),  # the customer's request log
            models.Index(fields=["created_at"], name="api_usage_age"),  # purging
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.endpoint} {self.status_code}"
