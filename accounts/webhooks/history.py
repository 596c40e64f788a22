"""Which webhook deliveries named something."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from django.db.models import Q

from accounts.models import Account, WebhookDelivery

BEFORE, AFTER = timedelta(seconds=2), timedelta(seconds=10)
MOST = 20


def deliveries_about(account: Account, mode: str, name: str, moments: Iterable[datetime]) -> list[WebhookDelivery]:
    """Return deliveries, in order, whose body holds this id, written near one of these moments.

    Only bodies around these moments are read.
    """
    near = [Q(created_at__range=(moment - BEFORE, moment + AFTER)) for moment in moments]
    if not near:
        return []
    found = WebhookDelivery.objects.filter(reduce(or_, near), endpoint__account=account, endpoint__mode=mode)
    return list(found.filter(body__contains=name).select_related("endpoint").defer("body").order_by("pk")[:MOST])
