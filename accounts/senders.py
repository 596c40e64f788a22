"""Senders: what a handset shows. An account requests one, an operator decides, and only then can it be used."""

import logging
import re

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.choices import SenderKind, SenderStatus
from accounts.models import Account, ReservedName, SenderId, User
from accounts.security import audit
from smsapp.core import clock
from smsapp.core.exceptions import InvalidState, NotFound, SenderNotAllowed, ValidationError
from smsapp.database.prepared_query import Compiled, Slot
from smsapp.lib.lookalike import looks_like

logger = logging.getLogger(__name__)

#: Names that are imitated everywhere. Those of a country, or of an installation's customers, are in ReservedName.
RESERVED = (
    "PayPal", "Amazon", "Apple", "Google", "Microsoft", "Netflix", "Facebook", "Instagram", "WhatsApp", "Telegram",
    "DHL", "FedEx", "UPS", "USPS", "Hermes", "RoyalMail", "Visa", "Mastercard", "AmEx", "HSBC", "Barclays", "Santander",
    "Revolut", "Binance", "Coinbase", "IRS", "HMRC", "NHS", "GOVUK", "Police", "Polizei", "Interpol", "Bundesbank",
    "Sparkasse", "Postbank", "Commerzbank", "Klarna", "Vodafone", "Telekom", "Infobip", "Twilio",
)  # fmt: skip
MAX_WAITING = 20  # pending requests of one account
MAX_ID = 2**63 - 1
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}\Z")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_SHORT_CODE = re.compile(r"[0-9]{3,8}\Z")
_APPROVED = Compiled(
    lambda: SenderId.objects.filter(
        account_id=Slot("account"), value=Slot("value"), status=SenderStatus.APPROVED
    ).values_list("pk")[:1]
)


def sender_kind(value: str) -> SenderKind:
    """Return the kind of a sender.

    Raises ValidationError naming `sender_id` unless it is an alphanumeric sender, a number or a short code.
    """
    if _SHORT_CODE.match(value):
        return SenderKind.SHORT_CODE
    if _NUMBER.match(value):
        return SenderKind.NUMBER
    if _ALPHANUMERIC.match(value):
        return SenderKind.ALPHANUMERIC
    raise ValidationError(
        _(
            "A sender is 1 to 11 letters, digits and spaces with at least one letter, a number in international "
            "format, or a short code of 3 to 8 digits."
        ),
        "sender_id",
        value,
    )


def sender_of(account: Account, sender_pk: int) -> SenderId:
    """Return the account's sender. Raises NotFound."""
    sender = SenderId.objects.filter(account=account, pk=sender_pk).first() if sender_pk <= MAX_ID else None
    if sender is None:
        raise NotFound(_("There is no such sender."))
    return sender


def sender_named(account: Account, value: str) -> SenderId:
    """Return the account's sender of this name. Raises NotFound."""
    sender = SenderId.objects.filter(account=account, value=value[:16].replace("\x00", "")).first()
    if sender is None:
        raise NotFound(_("There is no such sender."))
    return sender


def request_sender(account: Account, value: str, by: User) -> tuple[SenderId, bool]:
    """Request a sender, which an operator approves. Return False if it was known: twice is the same as once.

    Raises ValidationError naming `sender_id`, or InvalidState while too many requests are pending.
    """
    kind = sender_kind(value)
    require_not_reserved(value)
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)  # requests are counted one by one
        if known := SenderId.objects.filter(account=account, value=value).first():
            return known, False
        if SenderId.objects.filter(account=account, status=SenderStatus.PENDING).count() >= MAX_WAITING:
            raise InvalidState(
                _("%(count)d requests are already waiting for an operator.") % {"count": MAX_WAITING}, limit=MAX_WAITING
            )
        sender = SenderId.objects.create(account=account, value=value, kind=kind)
        _record("requested", sender, by)
    return sender, True


def require_not_reserved(value: str) -> None:
    """Raise SenderNotAllowed for a name that looks like one of a bank, an authority or a brand.

    An operator can still add it in the console for its owner.
    """
    names = (*RESERVED, *ReservedName.objects.values_list("name", flat=True))
    if any(looks_like(value, name) for name in names):
        raise SenderNotAllowed(
            _("This name looks like a reserved one. If it is yours, ask the operator for it."),
            "sender_id",
            value,
        )


def withdraw_sender(account: Account, sender_pk: int, by: User) -> SenderId:
    """Withdraw a pending request. Raises NotFound or InvalidState."""
    with transaction.atomic():
        sender = sender_of(account, sender_pk)
        if not SenderId.objects.filter(pk=sender.pk, status=SenderStatus.PENDING).delete()[0]:
            raise InvalidState(_("Only a pending request can be withdrawn."), current_status=sender.status)
        _record("withdrawn", sender, by)
    return sender


def approve_sender(sender: SenderId, by: User | None) -> SenderId:
    return _decide(sender, SenderStatus.APPROVED, by)


def reject_sender(sender: SenderId, by: User | None, note: str = "") -> SenderId:
    return _decide(sender, SenderStatus.REJECTED, by, note)


def require_sender(account: Account, value: str) -> None:
    """Raise ValidationError or SenderNotAllowed for a sender that cannot be used. If empty, the provider chooses."""
    if not value:
        return
    sender_kind(value)
    if not _APPROVED.row(account=account.pk, value=value):
        raise SenderNotAllowed(_how_to_get(account, value), "sender_id", value)


def _how_to_get(account: Account, value: str) -> str:
    status = SenderId.objects.filter(account=account, value=value).values_list("status", flat=True).first()
    if status == SenderStatus.PENDING:
        return f"The sender {value} waits for the approval of your operator. Without a sender the provider chooses."
    if status == SenderStatus.REJECTED:
        return f"Your operator has rejected the sender {value}. Use another, or none: then the provider chooses."
    return (
        f"The sender {value} is not approved for your account. Ask for it under Senders in the dashboard, or with "
        "POST /api/v1/senders; your operator approves it. Without a sender the provider chooses."
    )


def _decide(sender: SenderId, status: SenderStatus, by: User | None, note: str = "") -> SenderId:
    before = sender.status
    with transaction.atomic():
        sender.status, sender.note, sender.decided_at = status, note, clock.about_now()
        sender.save(update_fields=["status", "note", "decided_at"])
        _record(status.value, sender, by, before)
    return sender


def _record(verb: str, sender: SenderId, by: User | None, before: str = "") -> None:
    audit.record(
        f"sender.{verb}",
        account=sender.account,
        by=by,
        target_type="sender",
        target_id=sender.value,
        before={"status": before} if before else None,
        after={"status": sender.status, "note": sender.note} if before else None,
    )
    logger.info("sender %s of account %s was %s", sender.value, sender.account_id, verb)
