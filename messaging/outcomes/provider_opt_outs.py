"""Opt-outs that providers report: numbers that they will not text for us any more."""

from collections import defaultdict
from collections.abc import Iterable

from accounts.choices import Mode
from accounts.models import Account
from messaging.choices import Reason
from messaging.gateways.base import Report
from messaging.ids import parse_public_id
from messaging.models import Message
from uploads.choices import OptOutSource
from uploads.suppressions import opt_out_all


def apply(reports: Iterable[Report]) -> int:
    """Opt out the numbers that reports name as opted out, in the caller's transaction. Return how many are new."""
    message_pks = {
        message_pk
        for report in reports
        if report.reason is Reason.OPTED_OUT and (message_pk := parse_public_id(report.message_id)) is not None
    }
    live = Message.objects.filter(pk__in=message_pks, campaign__mode=Mode.LIVE).select_related("campaign__account")
    said: dict[Account, dict[str, str]] = defaultdict(dict)
    for message in live:
        said[message.campaign.account][message.phone_number] = message.message_id
    return sum(opt_out_all(account, messages, OptOutSource.PROVIDER) for account, messages in said.items())
