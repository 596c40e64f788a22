"""A restored backup or a cloned copy is detected, and held before it sends anything.

Three independent signs:

another place   the database lives elsewhere than the installation recorded at its first start (`fingerprint.py`)
another time    a witness outside the database has seen more than the database knows (`high_water_mark.py`)
another past    after a stop, a provider has messages that the database does not know (`asking.py`)

Each process looks for them when it gets a database connection, before the first task or single send that uses it (a
database cannot be exchanged under an open connection), and when its clock has jumped (as on a machine that is reset
while it runs); `watch` does so every few seconds, and sending processes now and then.

What the provider got in the time that the database has forgotten is found out before the hold is released:
`release.py`. Two things cannot wait for that. Batch numbers are advanced, so that no message id that may have been used
is used again. And campaigns whose recipients were not all stored are paused: nobody can look up which of the others got
their message, since their ids are not known here.
"""

import json
import logging
import secrets
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.db.models import F
from django.dispatch import receiver
from django.utils.translation import gettext_noop

from accounts import system_state
from accounts.security import sending_hold
from accounts.security.sending_hold import Hold, HoldKind
from accounts.system_state import SystemState, object_or_nothing
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from campaigns.transitions import pause_for_defect
from messaging.models import Batch
from messaging.restore import asking, fingerprint, high_water_mark
from messaging.restore.fingerprint import Fingerprint
from messaging.restore.high_water_mark import Mark
from smsapp.core import clock
from smsapp.core.enqueue import enqueue

logger = logging.getLogger(__name__)

#: More batches than can be made in the time a backup is behind. The numbers suffice for a million such steps.
NUMBERS_SKIPPED = 10_000_000
#: More marks than a witness that cannot be read at the moment may have recorded.
MARKS_SKIPPED = 1_000_000
OTHER_PLACE = "This is a copy of a database that belongs elsewhere."
OTHER_TIME = "An older backup of the database was put back."
OTHER_TIMELINE = "PostgreSQL was recovered from an archive or a replica."
RENEW_EVERY = 10.0  # seconds, by processes that send; `watch` does it more often
CLOCK_JUMP = 30.0  # seconds by which a clock may be set without a new look for the signs
UNCERTAIN = gettext_noop(
    "A backup was restored before all recipients were stored: some of them may have got their message already. "
    "Resume it to send to all, or cancel it."
)


@dataclass(slots=True)
class _LastLook:
    """When this process last looked for the signs.

    `is_valid`: it has got no database connection since. `at`: monotonic. `clock_offset`: of the host's clock to the
    monotonic one then, in seconds.
    """

    is_valid: bool = False
    at: float = float("-inf")
    clock_offset: float = 0.0


_last_look = _LastLook()


class Home(NamedTuple):
    """Which installation the database belongs to, and where that is. The name never changes."""

    name: str
    fingerprint: Fingerprint


def _load_home(text: str) -> Home | None:
    stored = object_or_nothing(text)
    return Home(str(stored["name"]), Fingerprint(**stored.get("place", {}))) if "name" in stored else None


HOME: SystemState[Home | None] = SystemState(
    "installed_at",
    "Where this database belongs. A copy that starts elsewhere is held until an operator releases it.",
    load=_load_home,
    dump=lambda home: json.dumps({"name": home.name, "place": home.fingerprint.as_dict}) if home else "",
)
LAST_ALIVE: SystemState[Mark | None] = SystemState(
    "last_alive",
    "Renewed while smsapp runs; a witness that has seen more shows that an older backup was put back.",
    load=lambda text: high_water_mark.mark_from(object_or_nothing(text)),
    dump=lambda mark: json.dumps(mark.as_dict) if mark else "",
)


@dataclass(frozen=True, slots=True)
class Installation:
    """What the database says about itself. `mark` is None until the installation has run for some seconds."""

    name: str
    fingerprint: Fingerprint
    mark: Mark | None


def may_send() -> bool:
    """Return whether dispatch may go on. Called before each round. Raises DatabaseError if the database is down."""
    look_once()
    if time.monotonic() - _last_look.at > RENEW_EVERY:
        watch()
    return not sending_hold.is_held()


def look_once() -> None:
    """Look for the signs, if this process has not done so since it got its database connection."""
    connection.close_if_health_check_failed()  # a kept connection may be dead, and its successor lead elsewhere
    connection.ensure_connection()
    offset = time.time() - time.monotonic()
    if not _last_look.is_valid or abs(offset - _last_look.clock_offset) > CLOCK_JUMP:
        check()


def check() -> Hold | None:
    """Look for the signs, and hold sending if there is one. Return the hold that is on.

    The witness is read before the database: otherwise it could have recorded a mark meanwhile that we did not see.
    """
    now = fingerprint.here()
    seen = high_water_mark.seen(name) if (name := _name()) else None
    held, installation = sending_hold.current(), _read() or _claim(now)
    if held is None or held.kind is not HoldKind.COPY:
        held = _judge(installation, now, seen) or held
    _last_look.is_valid, _last_look.at = True, time.monotonic()
    _last_look.clock_offset = time.time() - _last_look.at
    return held


def watch() -> Hold | None:
    """Look for the signs. If there is none, record that the installation runs: first in the database, then outside."""
    held = check()
    if (held is None or held.kind is not HoldKind.COPY) and not asking.is_open():
        _renew(1)
    return held


def ask() -> None:
    """Go on with the question after a stop, if there is one, and hold or continue by its answer."""
    answer = asking.take_step()
    if answer is None:
        return
    if not answer.more:
        go_on()
        return
    installation = _read()
    _hold_copy(OTHER_TIME, f"{answer.more} {_data_until(installation)}" if installation else answer.more)
    asking.end()


def go_on() -> None:
    """Continue sending, unless an operator holds it: the installation that stopped is this one."""
    installation = _read() or _claim(fingerprint.here())
    _note_fingerprint(
        installation,
        replace(fingerprint.completed(installation.fingerprint, here := fingerprint.here()), timeline=here.timeline),
    )
    _renew(1)
    with transaction.atomic():
        asking.end()
        for kind in (HoldKind.CHECKING, HoldKind.CONFIRM):
            sending_hold.release(kind)
    for task in ("messaging.expand", "messaging.dispatch_singles", "messaging.dispatch_campaigns"):
        enqueue(task)


def prepare() -> None:
    """Do what must not wait for the release: see the top of this file."""
    _skip_batch_numbers()
    running = Campaign.objects.filter(status=CampaignStatus.RUNNING, chunks_done__lt=F("chunk_count"))
    for campaign_id in running.values_list("pk", flat=True):
        pause_for_defect(campaign_id, UNCERTAIN)


def treat_as_copy(held: Hold, by: str) -> None:
    """Have the provider compared under another hold, as after a failover that may have lost something."""
    prepare()
    if held.kind is not HoldKind.OPERATOR:
        sending_hold.hold(held.reason, by, kind=HoldKind.COPY, detail=held.detail, at=held.since)
        asking.end()


def settle_here() -> None:
    """Make this place and state of the database the installation from now on, as the operator decided."""
    installation = _read() or _claim(fingerprint.here())
    seen = high_water_mark.seen(installation.name)
    _renew(MARKS_SKIPPED + (seen.counter if seen else 0))
    _note_fingerprint(installation, fingerprint.here())
    asking.end()


def is_uncertain() -> bool:
    """Return whether queued messages may have been sent in a time that the database has forgotten.

    Then nobody may close them as never submitted.
    """
    held = sending_hold.current()
    return (held is not None and held.kind is HoldKind.COPY) or asking.is_open()


def last_mark() -> Mark | None:
    """Return how far the data of a held copy reach."""
    installation = _read()
    return installation.mark if installation else None


@receiver(connection_created)
def _got_a_connection(**kwargs: Any) -> None:
    _last_look.is_valid = False


def _judge(installation: Installation, now: Fingerprint, seen: Mark | None) -> Hold | None:
    """Return the hold that a sign demands."""
    if difference := fingerprint.difference(installation.fingerprint, now):
        return _hold_copy(OTHER_PLACE, f"{difference} {_data_until(installation)}")
    if seen is not None and seen.counter > (installation.mark.counter if installation.mark else 0):
        until = f"smsapp was last alive at {seen.at:%Y-%m-%d %H:%M:%S} UTC."
        return _hold_copy(OTHER_TIME, f"{_data_until(installation)} {until}")
    if asking.is_open():
        return None
    held = sending_hold.current()  # its question would still be open, were it not answered
    has_question = held is not None and held.kind in (HoldKind.CHECKING, HoldKind.CONFIRM)
    moment = clock.now()
    if (why := _stop_in_words(installation, now, moment)) or has_question:
        _skip_batch_numbers()
        if has_question or asking.has_anyone_to_ask(moment):
            asking.begin(installation.mark.at if installation.mark else None, why)
            return sending_hold.current()
        _note_fingerprint(installation, replace(installation.fingerprint, timeline=now.timeline))
        _renew(1)
        return None
    _note_fingerprint(installation, fingerprint.completed(installation.fingerprint, now))
    return None


def _stop_in_words(installation: Installation, here: Fingerprint, now: datetime) -> str:
    """Return why an older state may have been put back with all its evidence; empty if nothing hints at it."""
    if fingerprint.has_recovered(installation.fingerprint, here):
        return OTHER_TIMELINE
    if installation.mark is None or (now - installation.mark.at).total_seconds() <= settings.STOPPED_AFTER:
        return ""
    return f"Nothing was sent or looked after since {installation.mark.at:%Y-%m-%d %H:%M:%S} UTC."


def _note_fingerprint(installation: Installation, known: Fingerprint) -> None:
    if known != installation.fingerprint:
        HOME.put(Home(installation.name, known))


def _hold_copy(reason: str, detail: str) -> Hold:
    """Do first what must not wait, then hold. If interrupted, the next look does all of it again."""
    prepare()
    return sending_hold.hold(reason, "smsapp", kind=HoldKind.COPY, detail=detail, at=clock.now())


def _skip_batch_numbers() -> None:
    table = Batch._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
            (sequence,) = cursor.fetchone()
            cursor.execute("SELECT setval(%s, nextval(%s) + %s)", [sequence, sequence, NUMBERS_SKIPPED])
            return
        cursor.execute("UPDATE sqlite_sequence SET seq = seq + %s WHERE name = %s", [NUMBERS_SKIPPED, table])
        if not cursor.rowcount:
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, NUMBERS_SKIPPED])


def _data_until(installation: Installation) -> str:
    if installation.mark is None:
        return "It is not known of what time its data are."
    return f"Its data are of {installation.mark.at:%Y-%m-%d %H:%M:%S} UTC."


def _name() -> str:
    """Return the installation's name; empty before it has one."""
    home = HOME.get()
    return home.name if home else ""


def _read() -> Installation | None:
    home, mark = system_state.get_all(HOME, LAST_ALIVE)
    return Installation(home.name, home.fingerprint, mark) if home else None


def _claim(now: Fingerprint) -> Installation:
    """Record at the first start where the database belongs. The first process decides."""
    HOME.create(Home(secrets.token_hex(8), now))
    installation = _read()
    assert installation is not None
    return installation


def _renew(step: int) -> None:
    """Advance the mark, unless another process just did. Compare-and-set: it never goes back."""
    before = LAST_ALIVE.read()
    mark = Mark((before.value.counter if before.value else 0) + step, clock.now())
    if not before.text:
        LAST_ALIVE.put(mark)
    elif LAST_ALIVE.compare_and_set(before, mark) is None:
        return
    high_water_mark.record_mark(_name(), mark)
