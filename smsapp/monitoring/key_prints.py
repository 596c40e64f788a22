"""The database knows which keys can read its secrets and opt-outs: a process with others does not start on it.

Fingerprints are recorded: of every key that secrets have been encrypted with since the last rotation, and of the one
that hashes opted-out numbers. A process that cannot read what others write would answer repeated calls with failures,
or text numbers that have opted out. A process started while the database is down, or has no tables yet, looks again
until it has seen it.
"""

import hashlib
import hmac
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import Error, connection, connections, transaction

from accounts.security import own_keys
from accounts.security.encryption import SecretUnreadable, key_texts
from accounts.system_state import SystemState, object_of
from uploads.models import OptOutEvent, Suppression

logger = logging.getLogger(__name__)

KEY = "key_fingerprints"
#: The fingerprints by purpose.
NOTED: SystemState[dict[str, Any]] = SystemState(
    KEY,
    "Of the keys that secrets and opt-outs here can be read with; processes with others do not start.",
    load=object_of,
    dump=lambda prints: json.dumps(prints) if prints else "",
)
LOOK_EVERY = 5.0  # seconds, while the database is away
EXIT_CODE = 3  # for gunicorn: no worker can start


class WrongKeys(Exception):
    """This process has other keys than the database was written with. The text says which, and what to do."""


def require() -> None:
    """Record our keys in the database, or raise WrongKeys; DatabaseError if it cannot be asked."""
    try:
        _require()
    except SecretUnreadable as error:
        raise WrongKeys(str(error)) from error


def _require() -> None:
    if _with_ours(noted := NOTED.get()) == noted:
        return
    with transaction.atomic():
        NOTED.put(_with_ours(NOTED.lock()))


def note_rotated() -> None:
    """Record that all secrets are encrypted with our first key now: no process needs another."""
    NOTED.put({"encryption": [_print_of("encryption", key_texts()[0])], "suppression": _suppression_print()})


def require_at_start() -> None:
    """Raise WrongKeys. Without the database the process can start, and is ended later if its keys are wrong."""
    try:
        require()
    except Error as error:
        logger.warning("keys are compared with the database later: %s", type(error).__name__)
        threading.Thread(target=_look_again, args=(_end,), name="keys", daemon=True).start()
    finally:
        connections.close_all()  # forked processes must not share it


def _look_again(end: Callable[[], None]) -> None:
    while True:
        time.sleep(LOOK_EVERY)
        try:
            require()
        except Error:
            continue
        except WrongKeys as error:
            logger.critical("this process ends: %s", error)
            end()
        finally:
            connection.close()
        return


def _end() -> None:
    os._exit(EXIT_CODE)


def _with_ours(noted: dict[str, Any]) -> dict[str, Any]:
    """Return what to record once this process runs. Raises WrongKeys."""
    encryption = list(noted.get("encryption", []))
    _require_encryption(encryption)
    _require_suppression(noted.get("suppression", ""))
    if (first := _print_of("encryption", key_texts()[0])) not in encryption:
        encryption.append(first)
    return {"encryption": encryption, "suppression": _suppression_print()}


def _require_encryption(noted: list[str]) -> None:
    ours = {_print_of("encryption", text) for text in key_texts()}
    if not set(noted) <= ours:
        raise WrongKeys(
            "Secrets in this database are encrypted with a key that this process does not have. Give every process the "
            "same ENCRYPTION_KEYS (and SECRET_KEY), with a former key at the end; `manage.py rotate_secrets` ends the "
            "need for it. If the key is lost for good: `manage.py rotate_secrets --give-up-unreadable`."
        )


def _require_suppression(noted: str) -> None:
    """Require the key of opted-out numbers. It can change while nothing was hashed with it."""
    if not noted or noted == _suppression_print():
        return
    if Suppression.objects.exists() or OptOutEvent.objects.exists():
        raise WrongKeys(
            "Opted-out numbers in this database are hashed with another SUPPRESSION_KEY: none would be recognised. Set "
            "it to what it was; where it was not set, take it away."
        )


def _suppression_print() -> str:
    return _print_of("suppression", own_keys.would_be(own_keys.SUPPRESSIONS))


def _print_of(purpose: str, key: str) -> str:
    return hmac.new(key.encode(), f"fingerprint of the {purpose} key".encode(), hashlib.sha256).hexdigest()[:20]
