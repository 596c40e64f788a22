"""Secrets that we have to read again are encrypted where they are stored, so a dump reveals none.

The first of ENCRYPTION_KEYS encrypts and all of them decrypt, so a key is changed without a pause: put the new one in
front, run `manage.py rotate_secrets`, remove the old one. The last are always the keys derived from SECRET_KEY and
SECRET_KEY_FALLBACKS, which encrypt everything until ENCRYPTION_KEYS is set.
"""

import base64
import hashlib
from collections.abc import Iterator

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.db.models import Model

BATCH = 500  # rows re-encrypted at a time

#: Every field that holds an encrypted secret, as (model, field). Name a new one here, or when its app starts.
_FIELDS: list[tuple[str, str]] = [
    ("accounts.Account", "callback_secret"),
    ("accounts.WebhookEndpoint", "secret"),
    ("accounts.WebhookEndpoint", "old_secret"),
    ("accounts.IdempotencyKey", "body"),
    ("accounts.OwnKey", "value"),
]


class SecretUnreadable(Exception):
    """No key fits: ENCRYPTION_KEYS (or SECRET_KEY) lacks the one a secret was encrypted with."""


def register(model: str, field: str) -> None:
    """Register a text field (`app.Model`, field) that holds encrypted secrets, so that rotation finds it."""
    if (model, field) not in _FIELDS:
        _FIELDS.append((model, field))


def encrypt(text: str) -> str:
    """Return the text encrypted with the first key, as ASCII; an empty text stays empty."""
    return _keys().encrypt(text.encode()).decode() if text else ""


def decrypt(text: str) -> str:
    """Return the text. Raises SecretUnreadable if no key fits."""
    try:
        return _keys().decrypt(text.encode()).decode() if text else ""
    except InvalidToken as error:
        raise _unreadable() from error


def rotate() -> Iterator[tuple[str, int]]:
    """Encrypt everything anew with the first key. Yield each field with the number of its secrets.

    Goes row by row and only where a row still holds what was read, so it can run beside everything else and be
    repeated. Raises SecretUnreadable at the first secret that no key fits, naming its row.
    """
    for label, field in _FIELDS:
        yield f"{label}.{field}", _rotate_field(apps.get_model(label), field)


def _rotate_field(model: type[Model], field: str) -> int:
    keys, count, last = _keys(), 0, 0
    while True:
        rows = model._default_manager.filter(pk__gt=last).exclude(**{field: ""}).order_by("pk")
        found = list(rows.values_list("pk", field)[:BATCH])
        if not found:
            return count
        for pk, old in found:
            try:
                new = keys.rotate(old.encode()).decode()
            except InvalidToken as error:
                raise _unreadable(f" ({model._meta.label} {pk}, {field})") from error
            count += model._default_manager.filter(pk=pk, **{field: old}).update(**{field: new})
        last = found[-1][0]


def key_texts() -> list[str]:
    """Return the keys as they are set: the first encrypts, all decrypt."""
    return [*settings.ENCRYPTION_KEYS, *settings.ENCRYPTION_KEYS_DERIVED]


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(_fernet_key(text)) for text in key_texts()])


def _fernet_key(text: str) -> bytes:
    """Derive Fernet's 32 bytes from any long random text."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())


def _unreadable(where: str = "") -> SecretUnreadable:
    return SecretUnreadable(
        f"A stored secret{where} cannot be decrypted: the key it was encrypted with is in neither ENCRYPTION_KEYS nor "
        "SECRET_KEY. Add the former key at the end of ENCRYPTION_KEYS, or of SECRET_KEY_FALLBACKS."
    )
