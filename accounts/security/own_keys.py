"""Keys that must outlive a change of SECRET_KEY: made once, from what it was then, and kept in the database.

Each may be set in the environment instead. They are encrypted as every stored secret, so `manage.py rotate_secrets`
takes them along; whoever has another key for secrets cannot read them, and does not start
(`smsapp/monitoring/key_prints.py`).
"""

from collections.abc import Callable

from django.conf import settings

from accounts.models import OwnKey
from accounts.security.encryption import decrypt, encrypt

SUPPRESSIONS = "suppressions"  # opted-out numbers are hashed, and opt-out links sealed with it
AUDIT = "audit"  # the chain of the audit log is keyed with it; never from the environment
ENTRIES = "entries"  # the ids of ledger entries are made with it; never from the environment
CALLBACKS = "callbacks"  # the unguessable part of the addresses that providers push to

_known: dict[str, str] = {}  # for as long as this process lives: they never change


def key(name: str) -> str:
    """Raises SecretUnreadable, or DatabaseError the first time."""
    given, first = settings.OWN_KEYS[name]
    if given:
        return str(given)
    if name not in _known:
        _known[name] = stored(name, lambda: str(first))
    return _known[name]


def would_be(name: str) -> str:
    """The same, without making it: what others were written with is compared before. Raises SecretUnreadable."""
    given, first = settings.OWN_KEYS[name]
    return str(given) or _known.get(name) or find(name) or str(first)


def forget() -> None:
    _known.clear()


def stored(name: str, make: Callable[[], str]) -> str:
    """What is kept under this name, made if there is nothing. Raises SecretUnreadable."""
    if not OwnKey.objects.filter(name=name).exists():
        OwnKey.objects.bulk_create([OwnKey(name=name, value=encrypt(make()))], ignore_conflicts=True)
    return find(name)


def find(name: str) -> str:
    """What is kept under this name; empty if there is nothing. Raises SecretUnreadable."""
    return decrypt(OwnKey.objects.filter(name=name).values_list("value", flat=True).first() or "")
