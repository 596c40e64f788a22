"""API keys: `sms_<live|test>_<id>_<secret><checksum>`.

The id is public and finds the row. The secret has 256 bits and is stored as a hash keyed with SECRET_KEY, so neither a
copy of the database nor of the settings is enough to call. The checksum detects a typo, and lets a scanner of source
code recognise a key, without a query.
"""

import hashlib
import hmac
import logging
import re
import secrets
import string
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.translation import gettext_lazy as _

from accounts.choices import SCOPES_OF, Mode, Role, Scope
from accounts.models import Account, ApiKey, Membership, User
from accounts.security import audit
from smsapp.core import clock
from smsapp.core.context import current_call
from smsapp.core.exceptions import (
    ApiKeyExpired,
    ApiKeyRevoked,
    AuthenticationRefused,
    InvalidState,
    IpNotAllowed,
    NotFound,
    PermissionDenied,
    Problems,
    ValidationError,
)
from smsapp.database.prepared_query import Compiled, Slot
from smsapp.lib.moments import utc_text

logger = logging.getLogger(__name__)

SECRET_LENGTH = 43  # of 62 characters: 256 bits
KEY_PATTERN = re.compile(r"(sms_(live|test)_([a-z0-9]{10})_([A-Za-z0-9]{43}))([A-Za-z0-9]{6})\Z")
#: Scopes of a key for which none are named.
DEFAULT_SCOPES = SCOPES_OF[Role.SENDER]
MAX_KEYS = 100  # usable keys of one account
MAX_NETWORKS = 50
LAST_USED_STEP = 60  # seconds between two writes of last_used_at
_PREFIX_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ROLE = Membership.objects.filter(account=OuterRef("account"), user=OuterRef("user")).values("role")[:1]
_KEY, _ACCOUNT, _USER = ([field.attname for field in model._meta.concrete_fields] for model in (ApiKey, Account, User))
#: A key with its account, its user and their role: the columns of each, in this order.
_KEYS = Compiled(
    lambda: ApiKey.objects.filter(prefix=Slot("prefix"), mode=Slot("mode")).values_list(
        *_KEY, *(f"account__{field}" for field in _ACCOUNT), *(f"user__{field}" for field in _USER), Subquery(_ROLE)
    )
)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who creates and changes keys.

    A key cannot have a scope that its creator does not have, and a test key can create only test keys.
    """

    account: Account
    user: User
    mode: Mode
    scopes: frozenset[Scope]

    @property
    def modes(self) -> tuple[Mode, ...]:
        return (Mode.LIVE, Mode.TEST) if self.mode is Mode.LIVE else (Mode.TEST,)


def keys_of(issuer: Issuer) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(account=issuer.account, mode__in=issuer.modes).select_related("user", "replaced_by")


def key_of(issuer: Issuer, prefix: str) -> ApiKey:
    """Return the key of this id. Raises NotFound."""
    key = keys_of(issuer).filter(prefix=prefix).first()
    if key is None:
        raise NotFound(_("There is no such API key."))
    return key


def issue_api_key(
    issuer: Issuer,
    name: str,
    mode: Mode,
    *,
    scopes: Iterable[Scope] | None = None,
    allowed_networks: Sequence[str] = (),
    rate_limit: int | None = None,
    expires_at: datetime | None = None,
    by: User | None = None,
) -> tuple[ApiKey, str]:
    """Create a key of the issuer. Return it and its text, which is shown now and can never be read again.

    `scopes`: None for DEFAULT_SCOPES as far as the issuer has them. `by`: an operator who creates it for them. Raises
    ValidationError naming the field, or InvalidState.
    """
    values = read_options(
        issuer,
        mode=mode,
        scopes=DEFAULT_SCOPES & issuer.scopes if scopes is None else scopes,
        allowed_networks=allowed_networks,
        rate_limit=rate_limit,
        expires_at=expires_at,
    )
    del values["mode"]
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=issuer.account.pk)  # keys are counted one by one
        usable = ApiKey.objects.filter(account=issuer.account, revoked_at=None).exclude(
            expires_at__lte=clock.about_now()
        )
        if usable.count() >= MAX_KEYS:
            raise InvalidState(
                _("An account has at most %(max)d keys. Revoke one first.") % {"max": MAX_KEYS}, limit=MAX_KEYS
            )
        key, text = _make(issuer.account, issuer.user, mode, name, values)
        _record("issued", key, by or issuer.user, after=_shown(key))
    return key, text


def read_options(issuer: Issuer, **given: Any) -> dict[str, Any]:
    """Return the given options of a key as they are stored. Raises ValidationError, which names all that is wrong."""
    problems = Problems()
    read: dict[str, Callable[[Any], Any]] = {
        "mode": lambda mode: _mode(issuer, mode),
        "scopes": lambda scopes: _scopes(issuer, scopes),
        "allowed_networks": _networks,
        "expires_at": _expiry,
    }
    values = {name: problems.check(read[name], value) if name in read else value for name, value in given.items()}
    problems.refuse()
    return values


def update_api_key(issuer: Issuer, prefix: str, **changes: Any) -> ApiKey:
    """Change `name`, `scopes`, `allowed_networks`, `rate_limit` or `expires_at` of a usable key.

    Raises NotFound, InvalidState, PermissionDenied, or ValidationError naming the field.
    """
    with transaction.atomic():
        key = _lock(issuer, prefix)
        _require_power_over(issuer, key)
        before, changes = _shown(key), read_options(issuer, **changes)
        for field, value in changes.items():
            setattr(key, field, value)
        key.save(update_fields=list(changes))
        after = _shown(key)
        changed = {field for field in after if after[field] != before[field]}
        if changed:
            _record("updated", key, issuer.user, _only(before, changed), _only(after, changed))
    return key


def rotate_api_key(issuer: Issuer, prefix: str, overlap: timedelta) -> tuple[ApiKey, str]:
    """Create a key with the same properties. Return it and its text; the old one works for `overlap` longer.

    A key that expires is replaced by one of the same lifetime. Raises NotFound, InvalidState or PermissionDenied.
    """
    now = clock.about_now()
    with transaction.atomic():
        old = _lock(issuer, prefix)
        _require_power_over(issuer, old)
        if old.replaced_by_id is not None:
            raise InvalidState(_("This key has already been rotated."), current_status="rotated")
        values = {
            "scopes": old.scopes,
            "allowed_networks": old.allowed_networks,
            "rate_limit": old.rate_limit,
            "expires_at": now + (old.expires_at - old.created_at) if old.expires_at else None,
        }
        new, text = _make(old.account, issuer.user, Mode(old.mode), old.name, values)
        old.expires_at = min(filter(None, (old.expires_at, now + overlap)))
        old.replaced_by = new
        old.save(update_fields=["expires_at", "replaced_by"])
        _record("rotated", old, issuer.user, after={"new_key": new.prefix, "expires_at": old.expires_at.isoformat()})
    return new, text


def revoke_api_key(key: ApiKey, by: User) -> ApiKey:
    """Revoke a key, effective with the next call. Revoking twice is the same as revoking once."""
    with transaction.atomic():
        now = clock.about_now()
        if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
            key.revoked_at = now
            _record("revoked", key, by)
    return key


def check_api_key(text: str, address: str) -> tuple[ApiKey, Role]:
    """Return the usable key behind a text, with account, user and the person's role, in one query.

    Raises AuthenticationRefused, the same for whatever is wrong with id or secret. Who holds the secret learns more:
    ApiKeyRevoked, ApiKeyExpired, IpNotAllowed.
    """
    key = match_api_key(text)
    if key is None:
        raise AuthenticationRefused("This API key is not valid.")
    current_call().api_key_prefix = key.prefix
    if key.revoked_at is not None:
        raise ApiKeyRevoked("This API key has been revoked.")
    if not key.is_usable:
        raise ApiKeyExpired("This API key has expired.")
    role: str | None = vars(key)["role"]
    if not key.user.is_active or role is None:
        raise ApiKeyRevoked("The owner of this API key is no longer a member of its account.")
    if key.allowed_networks and not _is_within(address, key.allowed_networks):
        raise IpNotAllowed(_("This API key cannot be used from this address."), value=address)
    return key, Role(role)


def match_api_key(text: str) -> ApiKey | None:
    """Return the key whose secret this text holds, usable or not. A wrong id costs as much as a wrong secret."""
    match = KEY_PATTERN.match(text)
    if match is None or _checksum(match[1]) != match[5]:
        return None
    key = _find(match[3], match[2])
    stored = key.secret_hash if key else ""
    matching = [
        hmac.compare_digest(stored, _hash(match[4], secret))
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]
    if key is None or not any(matching):
        return None
    if not matching[0]:  # hashed with a previous SECRET_KEY
        ApiKey.objects.filter(pk=key.pk).update(secret_hash=_hash(match[4], settings.SECRET_KEY))
    return key


def _find(prefix: str, mode: str) -> ApiKey | None:
    """Return the key with `account`, `user` and, as an attribute, their `role`."""
    row = _KEYS.row(prefix=prefix, mode=mode)
    if row is None:
        return None
    values = iter(row)
    key = ApiKey.from_db(connection.alias, _KEY, list(islice(values, len(_KEY))))
    key.account = Account.from_db(connection.alias, _ACCOUNT, list(islice(values, len(_ACCOUNT))))
    key.user = User.from_db(connection.alias, _USER, list(islice(values, len(_USER))))
    vars(key)["role"] = next(values)
    return key


def scopes_of(key: ApiKey) -> frozenset[Scope]:
    return frozenset(scope for scope in Scope if scope.value in key.scopes)


def note_use(key: ApiKey, now: datetime) -> None:
    """Keep `last_used_at` accurate to a minute, with one write a minute."""
    if key.last_used_at is None or (now - key.last_used_at).total_seconds() > LAST_USED_STEP:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


def _make(account: Account, user: User, mode: Mode, name: str, values: dict[str, Any]) -> tuple[ApiKey, str]:
    prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(10))
    secret = "".join(secrets.choice(_BASE62) for _ in range(SECRET_LENGTH))
    key = ApiKey.objects.create(
        account=account,
        user=user,
        name=name,
        mode=mode,
        prefix=prefix,
        secret_hash=_hash(secret, settings.SECRET_KEY),
        **values,
    )
    text = f"sms_{mode.value}_{prefix}_{secret}"
    return key, text + _checksum(text)


def _lock(issuer: Issuer, prefix: str) -> ApiKey:
    key = ApiKey.objects.select_for_update().get(pk=key_of(issuer, prefix).pk)
    if not key.is_usable:
        state = "revoked" if key.revoked_at else "expired"
        raise InvalidState(_("This key is %(state)s.") % {"state": state}, current_status=state)
    return key


def _require_power_over(issuer: Issuer, key: ApiKey) -> None:
    """Require every scope of the key: whoever can change or rotate a wider key could use it."""
    if not scopes_of(key) <= issuer.scopes:
        raise PermissionDenied(_("This key has scopes that you do not have. You can revoke it but not change it."))


def _mode(issuer: Issuer, mode: Mode) -> Mode:
    if mode not in issuer.modes:
        raise ValidationError(_("A test key can create only test keys."), "mode", mode.value)
    return mode


def _scopes(issuer: Issuer, scopes: Iterable[Scope]) -> list[str]:
    wanted = list(scopes)
    for position, scope in enumerate(wanted):
        if scope not in issuer.scopes:
            raise ValidationError(
                _("You cannot give a key a scope that you do not have."), f"scopes[{position}]", scope
            )
    return [scope.value for scope in Scope if scope in wanted]


def _networks(texts: Sequence[str]) -> list[str]:
    """Return each network once, as 203.0.113.0/24 or 2001:db8::/32, however it was written."""
    if len(texts) > MAX_NETWORKS:
        raise ValidationError(
            _("A key has at most %(max)d networks.") % {"max": MAX_NETWORKS}, "allowed_networks", len(texts)
        )
    networks: dict[str, None] = {}
    for position, text in enumerate(texts):
        try:
            networks[str(ip_network(text, strict=False))] = None
        except ValueError as error:
            raise ValidationError(
                _("Give an IPv4 or IPv6 network, such as 203.0.113.0/24."), f"allowed_networks[{position}]", text
            ) from error
    return list(networks)


def _expiry(expires_at: datetime | None) -> datetime | None:
    if expires_at is not None and expires_at <= clock.about_now():
        raise ValidationError(_("Give a time in the future."), "expires_at", utc_text(expires_at))
    return expires_at


def _is_within(address: str, networks: Iterable[str]) -> bool:
    try:
        client = ip_address(address)
    except ValueError:
        return False
    return any(client in ip_network(network) for network in networks)


def _hash(secret: str, key: str) -> str:
    return hmac.new(key.encode(), b"api-key:" + secret.encode(), hashlib.sha256).hexdigest()


def _checksum(text: str) -> str:
    """Return a CRC-32 in six characters of base 62."""
    number, digits = zlib.crc32(text.encode()), ""
    for __ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "mode": key.mode,
        "scopes": key.scopes,
        "allowed_networks": key.allowed_networks,
        "rate_limit": key.rate_limit,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }


def _only(values: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    return {field: values[field] for field in values if field in fields}


def _record(
    verb: str, key: ApiKey, by: User, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None
) -> None:
    audit.record(
        f"api_key.{verb}",
        account=key.account,
        by=by,
        target_type="api_key",
        target_id=key.prefix,
        before=before,
        after=after,
    )
    logger.info("API key %s of account %s was %s", key.prefix, key.account_id, verb)
