"""Sessions of people who are signed in to the pages, and records of sign-ins."""

from datetime import datetime, timedelta

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.sessions.models import Session

from smsapp.core.purge import Purged, remove_oldest


def purge(now: datetime) -> Purged:
    """Remove expired sessions."""
    return remove_oldest(Session.objects.filter(expire_date__lt=now), "expire_date")


def purge_sign_ins(now: datetime) -> Purged:
    """Remove sign-ins, failures and lock-outs older than SIGN_IN_DAYS; the audit log still has them."""
    removed, is_more = 0, False
    for model in (AccessLog, AccessFailureLog, AccessAttempt):
        # The times have no index: some months of sign-ins are read once an hour.
        old = model.objects.filter(attempt_time__lt=now - timedelta(days=settings.SIGN_IN_DAYS))
        purged = remove_oldest(old, "pk")
        removed, is_more = removed + purged.removed, is_more or purged.is_more
    return Purged(removed, is_more)
