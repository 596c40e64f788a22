"""Opt-outs and opt-ins by reply.

The first STOP of a number is confirmed once, in the words of its account, if it has any. That confirmation is the one
message that an opted-out number still gets. START opts the number in again. All other opt-outs, and the ledger of all:
`uploads/suppressions.py`.
"""

import logging
import secrets

from accounts.choices import Role, SenderStatus
from accounts.models import Account, Membership, SenderId, User
from campaigns.choices import CampaignKind
from campaigns.services import admit_campaign
from campaigns.validation import CampaignRequest
from messaging.models import InboundMessage
from messaging.sending.expansion import store_expanded
from smsapp.core.exceptions import SmsappError
from smsapp.lib.keywords import Keyword, keyword_of
from uploads.audiences import audience_from_numbers
from uploads.choices import OptOutSource
from uploads.chunks import Recipients
from uploads.suppressions import opt_in, opt_out

logger = logging.getLogger(__name__)


def apply(inbound: InboundMessage, *, is_confirmed: bool = False) -> Keyword | None:
    """Do what a reply asks for, in the transaction that stores it. `is_confirmed`: the provider has answered it."""
    keyword = keyword_of(inbound.text)
    if keyword is None or inbound.account is None or not inbound.phone_number.startswith("+"):
        return None
    if keyword is Keyword.START:
        opt_in(inbound.account, inbound.phone_number, OptOutSource.KEYWORD, inbound.inbound_id)
    elif opt_out(inbound.account, inbound.phone_number, OptOutSource.KEYWORD, inbound.inbound_id) and not is_confirmed:
        _confirm(inbound.account, inbound)
    return keyword


def _confirm(account: Account, inbound: InboundMessage) -> None:
    """Send the confirmation at the price of a single send, or nothing if it cannot be sent (no credit)."""
    text, by = account.opt_out_reply.strip(), _somebody(account)
    if not text or by is None:
        return
    request = CampaignRequest(
        kind=CampaignKind.SINGLE,
        message=text,
        name="Opt-out confirmation",
        sender_id=_sender(account, inbound),
        request_id=f"opt-out-{secrets.token_hex(6)}",
    )
    audience = audience_from_numbers(account, [(1, inbound.phone_number)])
    try:
        campaign = admit_campaign(account, by, request, audience)
    except SmsappError as error:
        logger.warning("the opt-out %s is not confirmed: %s", inbound.inbound_id, error.message)
        return
    campaign.confirms_opt_out = True
    store_expanded(campaign, Recipients([1], [inbound.phone_number], [[]]))


def _sender(account: Account, inbound: InboundMessage) -> str:
    """Return the number that was answered, if it is the account's; else let the provider choose."""
    spellings = (inbound.recipient, f"+{inbound.recipient}")
    senders = SenderId.objects.filter(account=account, value__in=spellings, status=SenderStatus.APPROVED)
    return senders.values_list("value", flat=True).first() or ""


def _somebody(account: Account) -> User | None:
    """Return who the account's own message is sent by: its first owner."""
    owner = Membership.objects.filter(account=account, role=Role.OWNER, user__is_active=True).order_by("pk").first()
    return owner.user if owner else None
