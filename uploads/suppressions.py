"""Numbers an account must never text. Stored as keyed hashes, so that erasing a number keeps its suppression."""

import hashlib
from collections.abc import Iterable
from itertools import islice

from django.conf import settings

from accounts.models import Account
from uploads.models import Suppression

_HASH_BYTES = 16
_SLICE = 5000  # hashes in one query


def phone_hash(account_id: int, phone: str) -> str:
    """Keyed BLAKE2b of an E.164 number, 32 hex digits; of two accounts, never the same."""
    key = settings.SUPPRESSION_KEY.encode()[: hashlib.blake2b.MAX_KEY_SIZE]
    return hashlib.blake2b(f"{account_id}:{phone}".encode(), key=key, digest_size=_HASH_BYTES).hexdigest()


def suppress(account: Account, phone: str, reason: str) -> None:
    """Never text this E.164 number again. A number already suppressed keeps its first reason."""
    Suppression.objects.get_or_create(
        account=account,
        phone_hash=phone_hash(account.pk, phone),
        defaults={"phone_hint": phone[-2:], "reason": reason[:200]},
    )


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
