"""Keys that must outlive a change of SECRET_KEY: made once, from its value then, and kept in the database.

Each can be set in the environment instead. They are encrypted like every stored secret, so `manage.py rotate_secrets`
includes them. A process with other keys for secrets cannot read them, and does not start
(`smsapp/monitoring/key_prints.py`).
"""

from collections.abc import Callable

from django.conf import settings

from accounts.models import OwnKey
from accounts.security.encryption import decrypt, encrypt

SUPPRESSIONS = "suppressions"  # hashes opted-out numbers and seals opt-out links
AUDIT = "audit"  # keys the chain of the audit log; never from the environment
ENTRIES = "entries"  # makes the ids of ledger entries; never from the environment
CALLBACKS = "callbacks"  # the unguessable part of the addresses that providers push to

_known: dict[str, str] = {}  # for the life of the process: they never change


def key(name: str) -> str:
    """Return a key. Raises SecretUnreadable, or DatabaseError the first time."""
    given, first = settings.OWN_KEYS[name]
    if given:
        return str(given)
    if name not in _known:
        _known[name] = stored(name, lambda: str(first))
    return _known[name]


def would_be(name: str) -> str:
    """Return the key without making it, to compare it with the one that others used. Raises SecretUnreadable."""
    given, first = settings.OWN_KEYS[name]
    return str(given) or _known.get(name) or find(name) or str(first)


def forget() -> None:
    _known.clear()


def stored(name: str, make: Callable[[], str]) -> str:
    """Return what is stored under this name, made if there is nothing. Raises SecretUnreadable."""
    if not OwnKey.objects.filter(name=name).exists():
        OwnKey.objects.bulk_create([OwnKey(name=name, value=encrypt(make()))], ignore_conflicts=True)
    return find(name)


def find(name: str) -> str:
    """Return what is stored under this name; empty if nothing is. Raises SecretUnreadable."""
    return decrypt(OwnKey.objects.filter(name=name).values_list("value", flat=True).first() or "")
