"""A bulk campaign in one call: its recipients gathered, its draft made and launched."""

from collections.abc import Sequence

from django.db import transaction

from accounts.models import Account, User
from campaigns.models import Campaign
from campaigns.recipients import RecipientSource, gather
from campaigns.services import create_campaign
from campaigns.validation import CampaignRequest, check_request
from smsapp.core.exceptions import Problems
from uploads.chunks import RefusedRow


def start_bulk(
    account: Account, user: User, request: CampaignRequest, recipients: RecipientSource
) -> tuple[Campaign, Sequence[RefusedRow]]:
    """Start a campaign to these recipients, or have it approved. Return it with the rows that are left out.

    Raises an SmsappError that names everything that is wrong; nothing is stored then.
    """
    problems = Problems()
    problems.check(check_request, account, request, columns=None)
    with transaction.atomic():
        gathered = problems.check(gather, account, recipients)
        problems.refuse()
        assert gathered is not None
        audience, refused = gathered
        return create_campaign(account, user, request, audience), refused
