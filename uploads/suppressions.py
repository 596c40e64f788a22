"""Numbers an account must never text. Stored as keyed hashes, so that erasing a number keeps its suppression."""

import hashlib
from collections.abc import Iterable
from itertools import islice

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.models import Account, User
from smsapp.exceptions import InvalidPhoneNumber
from smsapp.lib.phone import RefusedNumber, parse_number
from uploads.choices import RowReason
from uploads.models import Suppression

_HASH_BYTES = 16
_SLICE = 5000  # hashes in one query


def phone_hash(account_id: int, phone: str) -> str:
    """Keyed BLAKE2b of an E.164 number, 32 hex digits; of two accounts, never the same."""
    key = settings.SUPPRESSION_KEY.encode()[: hashlib.blake2b.MAX_KEY_SIZE]
    return hashlib.blake2b(f"{account_id}:{phone}".encode(), key=key, digest_size=_HASH_BYTES).hexdigest()


def suppress(account: Account, phone: str, reason: str) -> bool:
    """Never text this E.164 number again. A number already suppressed keeps its first reason; whether it is new."""
    _, is_new = Suppression.objects.get_or_create(
        account=account,
        phone_hash=phone_hash(account.pk, phone),
        defaults={"phone_hint": phone[-2:], "reason": reason[:200]},
    )
    return is_new


def suppressed_among(account: Account, phones: Iterable[str]) -> set[str]:
    """Those of some E.164 numbers that are suppressed: one cheap query if the account has none at all."""
    rows = Suppression.objects.filter(account=account)
    if not rows.exists():
        return set()
    found: set[str] = set()
    remaining = iter(phones)
    while part := {phone_hash(account.pk, phone): phone for phone in islice(remaining, _SLICE)}:
        hashes = rows.filter(phone_hash__in=list(part)).values_list("phone_hash", flat=True)
        found.update(part[value] for value in hashes)
    return found


def suppress_by(account: Account, by: User, phone_number: str, reason: str) -> tuple[Suppression, bool]:
    """Suppress a number written in any way, for a person; whether it is new. Raises InvalidPhoneNumber."""
    try:
        phone = parse_number(phone_number, account.default_country)
    except RefusedNumber as refusal:
        raise InvalidPhoneNumber(str(RowReason(refusal.reason).label), "phone_number", phone_number) from None
    with transaction.atomic():
        is_new = suppress(account, phone, reason)
        row = Suppression.objects.get(account=account, phone_hash=phone_hash(account.pk, phone))
        if is_new:
            _note("added", row, by)
    return row, is_new


def find(account: Account, phone_number: str) -> Suppression | None:
    """The suppression of a number written in any way."""
    try:
        phone = parse_number(phone_number, account.default_country)
    except RefusedNumber:
        return None
    return Suppression.objects.filter(account=account, phone_hash=phone_hash(account.pk, phone)).first()


def allow_by(account: Account, by: User, row: Suppression) -> None:
    with transaction.atomic():
        _note("removed", row, by)
        Suppression.objects.filter(account=account, pk=row.pk).delete()


def _note(verb: str, row: Suppression, by: User) -> None:
    audit.record(
        f"suppression.{verb}", account=row.account, by=by, target_type="suppression", target_id=row.phone_hash,
        after={"phone_hint": row.phone_hint, "reason": row.reason},
    )  # fmt: skip
