"""Questions about accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from accounts.choices import SenderStatus

if TYPE_CHECKING:
    from accounts import models as m


class AccountQuerySet(models.QuerySet["m.Account"]):
    def for_user(self, user: m.User) -> AccountQuerySet:
        return self.filter(memberships__user=user).order_by("name")


class ApiKeyQuerySet(models.QuerySet["m.ApiKey"]):
    def for_account(self, account: m.Account) -> ApiKeyQuerySet:
        return self.filter(account=account)


class SenderIdQuerySet(models.QuerySet["m.SenderId"]):
    def approved(self) -> SenderIdQuerySet:
        return self.filter(status=SenderStatus.APPROVED)
