"""A restored backup or a cloned copy notices that it is one, and holds before it sends anything.

Three independent signs:

another place   the database lives elsewhere than the installation noted when it first started (`fingerprint.py`)
another time    a witness outside the database has seen more than the database knows of (`high_water_mark.py`)
another past    after a stop, a provider has messages that the database knows nothing of (`asking.py`)

Looked for in each process when it gets a database connection, before the first task or single send that uses it (a
database cannot be exchanged under an open connection), when its clock has jumped (as that of a machine that was put
back while it ran), every few seconds by `watch`, and now and then by whoever sends.

What the provider took in the time that the database has forgotten is found out before the hold is released:
`release.py`. Two things cannot wait until then. Batch numbers are advanced, so that no message id that may have been
given away is used for another message. And campaigns whose recipients were not all stored yet are paused: which of
the others got their message nobody can look up, since their ids are not known here.
"""

import json
import logging
import secrets
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.db.models import F
from django.dispatch import receiver
from django.utils.translation import gettext_noop

from accounts.models import Setting
from accounts.security import sending_hold
from accounts.security.sending_hold import Hold, HoldKind
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

INSTALLED_AT = "installed_at"
LAST_ALIVE = "last_alive"
DESCRIPTIONS = {
    INSTALLED_AT: "Where this database belongs. A copy that starts elsewhere is held until an operator releases it.",
    LAST_ALIVE: "Renewed while smsapp runs; a witness that has seen more shows that an older backup was put back.",
}
#: More batches than could have been made in the time a backup is behind; the numbers reach for a million such steps.
NUMBERS_SKIPPED = 10_000_000
#: More marks than could have been told to a witness that cannot be read at the moment.
MARKS_SKIPPED = 1_000_000
OTHER_PLACE = "This is a copy of a database that belongs elsewhere."
OTHER_TIME = "An older backup of the database was put back."
OTHER_TIMELINE = "PostgreSQL was recovered from an archive or a replica."
RENEW_EVERY = 10.0  # seconds, by processes that send; `watch` does it more often
CLOCK_JUMP = 30.0  # seconds by which the clock of a process may be set without its looking for signs
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


@dataclass(frozen=True, slots=True)
class Installation:
    """What the database says of itself. `mark` is None until it was alive for some seconds."""

    name: str
    fingerprint: Fingerprint
    mark: Mark | None


def may_send() -> bool:
    """Whether dispatch may go on: asked before each round. Raises DatabaseError if the database is away."""
    look_once()
    if time.monotonic() - _last_look.at > RENEW_EVERY:
        watch()
    return not sending_hold.is_held()


def look_once() -> None:
    """Look for the signs, if this process has not done so since it got its database connection."""
    connection.close_if_health_check_failed()  # one that was kept may be dead, and its successor lead elsewhere
    connection.ensure_connection()
    offset = time.time() - time.monotonic()
    if not _last_look.is_valid or abs(offset - _last_look.clock_offset) > CLOCK_JUMP:
        check()


def check() -> Hold | None:
    """Look for the signs, and hold if there is one; the hold that is on.

    The witness is read before the database, or it could have been told a mark meanwhile that we did not see.
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
    """Look for the signs and, if there is none, say that the installation is alive: database first, then witness."""
    held = check()
    if (held is None or held.kind is not HoldKind.COPY) and not asking.is_open():
        _renew(1)
    return held


def ask() -> None:
    """Go on with the question of a start after a stop, if there is one; hold, or let sending go on, by its answer."""
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
    """What stopped was the installation as it stands: send on, unless an operator holds it."""
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
    """What must not wait for the release: see the top of this file."""
    _skip_batch_numbers()
    running = Campaign.objects.filter(status=CampaignStatus.RUNNING, chunks_done__lt=F("chunk_count"))
    for campaign_id in running.values_list("pk", flat=True):
        pause_for_defect(campaign_id, UNCERTAIN)


def treat_as_copy(held: Hold, by: str) -> None:
    """An operator has the provider compared under another hold, as after a failover that may have lost something."""
    prepare()
    if held.kind is not HoldKind.OPERATOR:
        sending_hold.hold(held.reason, by, kind=HoldKind.COPY, detail=held.detail, at=held.since)
        asking.end()


def settle_here() -> None:
    """The operator has decided: this place and this state of the database are the installation from now on."""
    installation = _read() or _claim(fingerprint.here())
    seen = high_water_mark.seen(installation.name)
    _renew(MARKS_SKIPPED + (seen.counter if seen else 0))
    _note_fingerprint(installation, fingerprint.here())
    asking.end()


def is_uncertain() -> bool:
    """Whether what is queued here may have been sent in a time that the database has forgotten: then nobody may close
    it as never handed over."""
    held = sending_hold.current()
    return (held is not None and held.kind is HoldKind.COPY) or asking.is_open()


def last_mark() -> Mark | None:
    """Of a held copy: how far its data reach."""
    installation = _read()
    return installation.mark if installation else None


@receiver(connection_created)
def _got_a_connection(**kwargs: Any) -> None:
    _last_look.is_valid = False


def _judge(installation: Installation, now: Fingerprint, seen: Mark | None) -> Hold | None:
    """The hold that a sign demands."""
    if difference := fingerprint.difference(installation.fingerprint, now):
        return _hold_copy(OTHER_PLACE, f"{difference} {_data_until(installation)}")
    if seen is not None and seen.counter > (installation.mark.counter if installation.mark else 0):
        until = f"smsapp was last alive at {seen.at:%Y-%m-%d %H:%M:%S} UTC."
        return _hold_copy(OTHER_TIME, f"{_data_until(installation)} {until}")
    if asking.is_open():
        return None
    held = sending_hold.current()  # whose question, were it still to be answered, would be open
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
    """Why an older state may have been put back with all that would tell; empty if nothing hints at it."""
    if fingerprint.has_recovered(installation.fingerprint, here):
        return OTHER_TIMELINE
    if installation.mark is None or (now - installation.mark.at).total_seconds() <= settings.STOPPED_AFTER:
        return ""
    return f"Nothing was sent or looked after since {installation.mark.at:%Y-%m-%d %H:%M:%S} UTC."


def _note_fingerprint(installation: Installation, known: Fingerprint) -> None:
    if known != installation.fingerprint:
        _write(INSTALLED_AT, {"name": installation.name, "place": known.as_dict})


def _hold_copy(reason: str, detail: str) -> Hold:
    """What must not wait first, then the hold: interrupted in between, the next look does all of it again."""
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
    """Of the installation, which never changes; empty before it has one."""
    stored = _load(Setting.objects.filter(key=INSTALLED_AT).values_list("value", flat=True).first())
    return str(stored.get("name", ""))


def _read() -> Installation | None:
    values = dict(Setting.objects.filter(key__in=(INSTALLED_AT, LAST_ALIVE)).values_list("key", "value"))
    installed, mark = _load(values.get(INSTALLED_AT)), high_water_mark.mark_from(_load(values.get(LAST_ALIVE)))
    if "name" not in installed:
        return None
    return Installation(str(installed["name"]), Fingerprint(**installed.get("place", {})), mark)


def _load(text: str | None) -> dict[str, Any]:
    stored = json.loads(text) if text else {}
    return stored if isinstance(stored, dict) else {}


def _claim(now: Fingerprint) -> Installation:
    """The first start: whoever comes first says where the database belongs."""
    value = json.dumps({"name": secrets.token_hex(8), "place": now.as_dict})
    row = Setting(key=INSTALLED_AT, value=value, description=DESCRIPTIONS[INSTALLED_AT], is_fixed=True)
    Setting.objects.bulk_create([row], ignore_conflicts=True)
    installation = _read()
    assert installation is not None
    return installation


def _renew(step: int) -> None:
    """Move the mark on, unless another process just did. Compare-and-set: it never goes back."""
    row = Setting.objects.filter(key=LAST_ALIVE).first()
    before = high_water_mark.mark_from(_load(row.value)) if row else None
    mark = Mark((before.counter if before else 0) + step, clock.now())
    if row is None:
        _write(LAST_ALIVE, mark.as_dict)
    elif not Setting.objects.filter(pk=row.pk, value=row.value).update(value=json.dumps(mark.as_dict)):
        return
    high_water_mark.record_mark(_name(), mark)


def _write(key: str, value: dict[str, Any]) -> None:
    Setting.objects.update_or_create(
        key=key, defaults={"value": json.dumps(value), "description": DESCRIPTIONS[key], "is_fixed": True}
    )
