"""Numbers an account must never text. Stored as keyed hashes, so that erasing a number keeps its suppression."""

import hashlib
from collections.abc import Iterable, Mapping
from itertools import islice

from django.db import transaction

from accounts import webhooks
from accounts.choices import EventType, Mode
from accounts.models import Account, User
from accounts.security import audit, own_keys
from smsapp.database.prepared_query import Compiled, Slot
from smsapp.lib.phone import RefusedNumber, parse_number
from uploads.choices import OptOutSource
from uploads.models import OptOutEvent, Suppression
from uploads.numbers import read_number

_HASH_BYTES = 16
_SLICE = 5000  # hashes in one query
_ANY = Compiled(lambda: Suppression.objects.filter(account_id=Slot("account")).values_list("pk")[:1])


def phone_hash(account_id: int, phone: str) -> str:
    """Return a keyed BLAKE2b of an E.164 number, 32 hex digits; never the same for two accounts."""
    key = own_keys.key(own_keys.SUPPRESSIONS).encode()[: hashlib.blake2b.MAX_KEY_SIZE]
    return hashlib.blake2b(f"{account_id}:{phone}".encode(), key=key, digest_size=_HASH_BYTES).hexdigest()


def suppress(
    account: Account, phone: str, reason: str, source: OptOutSource = OptOutSource.PERSON, by: User | None = None
) -> bool:
    """Never text this E.164 number again. Return whether it is new. A known number keeps its first reason."""
    return _leave(account, phone_hash(account.pk, phone), phone[-2:], source, reason, by)


def opt_out(account: Account, phone: str, source: OptOutSource, detail: str) -> bool:
    """Opt out a number, as its owner said in the message `detail`, and notify its account. Return whether it is new."""
    is_new = _leave(account, phone_hash(account.pk, phone), phone[-2:], source, str(source.label), None, detail)
    if is_new:
        _emit_event(account, phone, source, detail)
    return is_new


def opt_out_all(account: Account, said: Mapping[str, str], source: OptOutSource) -> int:
    """Opt out many E.164 numbers, each with the message that said so. Return how many are new.

    A repeated report has no effect: the number may have opted in since.
    """
    hashes = {phone_hash(account.pk, phone): phone for phone in said}
    details = {hashed: said[phone] for hashed, phone in hashes.items()}
    applied = OptOutEvent.objects.filter(account=account, phone_hash__in=list(hashes), source=source)
    told = set(applied.values_list("phone_hash", "detail"))
    fresh = {one: (phone[-2:], details[one]) for one, phone in hashes.items() if (one, details[one]) not in told}
    new = _leave_all(account, fresh, source, str(source.label), None)
    for hashed in new:
        _emit_event(account, hashes[hashed], source, details[hashed])
    return len(new)


def opt_out_hash(account: Account, hashed: str, source: OptOutSource) -> bool:
    """Opt out a number of which only the keyed hash is known."""
    return _leave(account, hashed, "", source, str(source.label), None)


def opt_in(account: Account, phone: str, source: OptOutSource, detail: str) -> bool:
    """Opt a number in again, as its owner asked. Return whether it was opted out."""
    hashed = phone_hash(account.pk, phone)
    with transaction.atomic():
        removed, _ = Suppression.objects.filter(account=account, phone_hash=hashed).delete()
        if removed:
            _enter(account, hashed, phone[-2:], source, detail, None, is_out=False)
    return bool(removed)


def suppress_all(account: Account, by: User, phones: Iterable[str], detail: str) -> int:
    """Suppress many E.164 numbers, such as those of a file. Return how many are new."""
    remaining, added = iter(phones), 0
    while part := {phone_hash(account.pk, phone): (phone[-2:], detail) for phone in islice(remaining, _SLICE)}:
        added += len(_leave_all(account, part, OptOutSource.FILE, detail, by))
    audit.record(
        "suppression.imported",
        account=account,
        by=by,
        target_type="suppression",
        target_id=detail[:60],
        after={"added": added},
    )
    return added


def _leave(
    account: Account, hashed: str, hint: str, source: OptOutSource, reason: str, by: User | None, detail: str = ""
) -> bool:
    with transaction.atomic():
        _, is_new = Suppression.objects.get_or_create(
            account=account,
            phone_hash=hashed,
            defaults={"phone_hint": hint, "reason": reason[:200], "source": source},
        )
        if is_new:
            _enter(account, hashed, hint, source, detail or reason, by, is_out=True)
    return is_new


def _leave_all(
    account: Account, rows: Mapping[str, tuple[str, str]], source: OptOutSource, reason: str, by: User | None
) -> set[str]:
    """Store opt-outs and return the new hashes. `rows`: hint and detail by hash."""
    with transaction.atomic():
        known = Suppression.objects.filter(account=account, phone_hash__in=list(rows))
        new = rows.keys() - set(known.values_list("phone_hash", flat=True))
        values = {"account": account, "source": source}
        Suppression.objects.bulk_create(
            [Suppression(phone_hash=one, phone_hint=rows[one][0], reason=reason[:200], **values) for one in new],
            ignore_conflicts=True,  # another call was quicker
        )
        OptOutEvent.objects.bulk_create(
            [
                OptOutEvent(phone_hash=one, phone_hint=hint, detail=detail[:200], is_out=True, user=by, **values)
                for one, (hint, detail) in rows.items()
                if one in new
            ]
        )
    return new


def _enter(
    account: Account, hashed: str, hint: str, source: OptOutSource, detail: str, by: User | None, *, is_out: bool
) -> None:
    OptOutEvent.objects.create(
        account=account, phone_hash=hashed, phone_hint=hint, source=source, detail=detail[:200], user=by, is_out=is_out
    )


def _emit_event(account: Account, phone: str, source: OptOutSource, detail: str) -> None:
    data = {"phone_number": phone, "source": source.value, "detail": detail or None}
    webhooks.emit(account.pk, Mode.LIVE, EventType.OPTOUT_RECEIVED, data)


def suppressed_among(account: Account, phones: Iterable[str]) -> set[str]:
    """Return the suppressed ones of some E.164 numbers: one cheap query if the account has none at all."""
    if not _ANY.row(account=account.pk):
        return set()
    rows = Suppression.objects.filter(account=account)
    found: set[str] = set()
    remaining = iter(phones)
    while part := {phone_hash(account.pk, phone): phone for phone in islice(remaining, _SLICE)}:
        hashes = rows.filter(phone_hash__in=list(part)).values_list("phone_hash", flat=True)
        found.update(part[value] for value in hashes)
    return found


def suppress_by(account: Account, by: User, phone_number: str, reason: str) -> tuple[Suppression, bool]:
    """Suppress a number written in any way, for a person. Return whether it is new. Raises InvalidPhoneNumber."""
    phone = read_number(account, phone_number)
    with transaction.atomic():
        is_new = suppress(account, phone, reason, by=by)
        row = Suppression.objects.get(account=account, phone_hash=phone_hash(account.pk, phone))
        if is_new:
            _note("added", row, by)
    return row, is_new


def find(account: Account, phone_number: str) -> Suppression | None:
    """Return the suppression of a number written in any way."""
    try:
        phone = parse_number(phone_number, account.default_country)
    except RefusedNumber:
        return None
    return Suppression.objects.filter(account=account, phone_hash=phone_hash(account.pk, phone)).first()


def allow_by(account: Account, by: User, row: Suppression) -> None:
    with transaction.atomic():
        _note("removed", row, by)
        if Suppression.objects.filter(account=account, pk=row.pk).delete()[0]:
            _enter(account, row.phone_hash, row.phone_hint, OptOutSource.PERSON, "", by, is_out=False)


def _note(verb: str, row: Suppression, by: User) -> None:
    audit.record(
        f"suppression.{verb}",
        account=row.account,
        by=by,
        target_type="suppression",
        target_id=row.phone_hash,
        after={"phone_hint": row.phone_hint, "reason": row.reason},
    )
