"""An operator finds an account's days."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from reports.models import DailyStat
from tests.support.factories import AccountFactory

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_days_are_found_by_the_name_of_their_account(admin_client: Client) -> None:
    today = timezone.now().date()
    ours, _ = (
        DailyStat.objects.create(account=AccountFactory(name=name), mode="live", day=today, delivered=3)
        for name in ("Acme", "Acme & Sons")
    )
    changelist = admin_client.get(reverse("admin:reports_dailystat_changelist"), {"q": "Acme"}).context["cl"]
    assert [row.pk for row in changelist.queryset] == [ours.pk]
