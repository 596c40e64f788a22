"""After a stop the providers are asked, before anything leaves, whether they have more than the database knows.

A machine that is reset to an earlier state takes all our own evidence back with it: database, files, Redis. Only a
provider stays. So a start that finds the last sign of life older than STOPPED_AFTER, or the database on another
timeline, reads the provider's log from that sign of life on. A call that is in it and not in the database, or a message
that nobody here knows, shows that an older state was put back (`detection.py` then holds it as a copy). A call under
way when the machine stopped had its attempt committed before, so it is no such sign.

The question is stored. While it exists sending is held (`HoldKind.CHECKING`), and no messages are made. A provider that
keeps no log by our ids cannot be asked: then an operator has to confirm (`HoldKind.CONFIRM`), unless nothing waits that
it may have got meanwhile.

A log lags: what a provider accepted last is in it some seconds later. So it is read no sooner than `Policy.log_lag`
after the question began, since when nothing left here. Gateways for which nothing waits are asked, too, since a caller
may repeat a request that the database has forgotten; one of these that does not answer delays nothing for long.
"""

import json
import logging
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import F, Q, QuerySet

from accounts.choices import Mode
from accounts.security import sending_hold
from accounts.security.sending_hold import Hold, HoldKind
from accounts.system_state import Stored, SystemState, object_of
from campaigns.choices import CampaignStatus, RecurringStatus
from campaigns.models import Campaign, RecurringCampaign
from messaging.choices import AttemptState, MessageStatus
from messaging.gateways import registry
from messaging.gateways.base import Gateway, LogEntry
from messaging.ids import batch_of, parse_public_id
from messaging.models import Attempt, Batch
from messaging.outcomes.lookups import wait_after_no_answer
from messaging.routing import router
from messaging.storage import message_rows
from smsapp.core import clock
from smsapp.core.budget import Budget
from smsapp.core.enqueue import enqueue

logger = logging.getLogger(__name__)

KEY = "question_after_a_stop"
SLACK = timedelta(seconds=10)  # by which a provider's clock may be behind
TRIES = 5  # tries in a row without an answer before an operator is asked; the provider is asked on
STEP_TIME = 100.0  # seconds after which a step that did not return was killed
REASON = "The provider is asked first what it has, for sending had stopped. This takes some seconds."


@dataclass(frozen=True, slots=True)
class Question:
    """How far the asking is.

    `since`: how far our data reach, as ISO text, empty if that is not known. `carriers`: gateways that may have got
    some of what waited then. `gateway` and `cursor`: how far its log is read. `done`: gateways that have nothing more
    than we know. `unable`: why somebody cannot be asked. `put_at`, `not_before`: seconds since the epoch.
    """

    since: str
    why: str
    put_at: float = 0.0
    carriers: tuple[str, ...] = ()
    gateway: str = ""
    cursor: str = ""
    done: tuple[str, ...] = ()
    unable: str = ""
    tries: int = 0
    note: str = ""
    not_before: float = 0.0


def _load(text: str) -> Question | None:
    stored = object_of(text)
    return Question(**stored | {name: tuple(stored.get(name, ())) for name in ("carriers", "done")}) if stored else None


QUESTION: SystemState[Question | None] = SystemState(
    KEY,
    "What the providers are being asked before sending goes on after a stop.",
    load=_load,
    dump=lambda question: json.dumps(asdict(question)) if question else "",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """`more`: what a provider has that the database does not know, in words; empty: nothing, sending may go on."""

    more: str


def begin(since: datetime | None, why: str) -> None:
    """Hold sending, then store the question: a hold without a question is asked again, the reverse is no barrier."""
    now = clock.now()
    sending_hold.hold(REASON, "smsapp", kind=HoldKind.CHECKING, detail=why, at=now)
    QUESTION.create(Question(since.isoformat() if since else "", why, now.timestamp(), tuple(_carriers(now))))
    logger.warning("%s The providers are asked before anything is sent.", why)
    enqueue("messaging.watch")


def is_open() -> bool:
    return QUESTION.has_row()


def end() -> None:
    """Forget the question."""
    QUESTION.delete()


def own_hold() -> Hold | None:
    """Return the hold of an open question, even where an operator's hold replaces it."""
    question = QUESTION.get()
    if question is None:
        return None
    kind = HoldKind.CONFIRM if question.unable else HoldKind.CHECKING
    return Hold(_request(question) if question.unable else REASON, "smsapp", clock.now(), kind, question.why)


def has_anyone_to_ask(now: datetime) -> bool:
    return bool(_carriers(now) or _with_log())


def take_step() -> Answer | None:
    """Ask on, for TASK_BUDGET seconds. Return the answer, if this was all."""
    claimed = _claim()
    if claimed is None or (question := claimed.value) is None:
        return None
    budget = Budget(settings.TASK_BUDGET)
    for name in sorted({*question.carriers, *_with_log()}):
        if name in question.done:
            continue
        if name != question.gateway:
            question = replace(question, gateway=name, cursor="", tries=0, note="")
        gateway = _askable(question, name)
        if isinstance(gateway, str):
            unable = gateway if name in question.carriers else question.unable
            question = replace(question, unable=unable, done=(*question.done, name))
            continue
        question, more = _read_log(question, gateway, budget)
        if more:
            return Answer(more)
        if name not in question.done:
            _put_down(question, claimed)
            return None
    if question.unable:
        _call_operator(question, claimed)
        return None
    return Answer("")


def _read_log(question: Question, gateway: Gateway, budget: Budget) -> tuple[Question, str]:
    """Return the question with what is now known of this gateway, and what it has that we do not know."""
    since = datetime.fromisoformat(question.since) - SLACK
    complete_at = question.put_at + gateway.policy.log_lag
    if complete_at > clock.now().timestamp():
        return replace(question, not_before=complete_at), ""
    while True:
        page = gateway.read_log(since, clock.now() + SLACK, question.cursor)
        if more := _unknown_here(gateway.name, page.entries):
            return question, more
        if not page.conclusive:
            return _unanswered(question, gateway.name, page.detail), ""
        question = replace(question, cursor=page.cursor, tries=0, note="", not_before=_in(0))
        if not page.cursor:
            return replace(question, done=(*question.done, gateway.name)), ""
        if budget.is_over:
            return question, ""
        time.sleep(60 / settings.RELEASE_LOOKUPS_PER_MINUTE)


def _unanswered(question: Question, name: str, detail: str) -> Question:
    """Return the question to be asked again later; for ever where something waits that the gateway may have got."""
    question = replace(question, tries=question.tries + 1, note=f"Gateway {name}: {detail}")
    if question.tries >= TRIES and name not in question.carriers:
        logger.error("sending goes on without an answer, for nothing waits there. %s", question.note)
        return replace(question, done=(*question.done, name))
    return replace(question, not_before=_in(wait_after_no_answer(name).total_seconds()))


def _unknown_here(gateway: str, entries: Iterable[LogEntry]) -> str:
    """Return the first entry of ours that shows an older state. Entries of other installations do not count."""
    ours = {
        message_pk: entry.report
        for entry in entries
        if (message_pk := parse_public_id(entry.report.message_id)) is not None
    }
    if not ours:
        return ""
    known = message_rows.read_messages(ours)
    made = Attempt.objects.filter(gateway=gateway, batch_id__in={batch_of(message_pk) for message_pk in ours})
    calls = list(made.values_list("reference", "first", "last", "state"))
    references = {reference for reference, *_ in calls}
    under_way = [(first, last) for _, first, last, state in calls if state in (AttemptState.OPEN, AttemptState.UNKNOWN)]
    for message_pk, report in ours.items():
        if message_pk not in known:
            return f"Gateway {gateway} has message {report.message_id}, which the database does not know."
        if report.reference:
            is_known = report.reference in references
        else:
            is_known = known[message_pk].status != MessageStatus.QUEUED or any(
                a <= message_pk <= b for a, b in under_way
            )
        if not is_known:
            return f"Gateway {gateway} has message {report.message_id} by a call that the database does not know."
    return ""


def _askable(question: Question, name: str) -> Gateway | str:
    """Return the gateway, or why it cannot be asked, in words."""
    try:
        gateway = registry.get(name)
    except (LookupError, ImproperlyConfigured) as error:
        logger.warning("gateway %s cannot be asked: %s", name, error)
        return f"Gateway {name} cannot be asked."
    if not gateway.policy.has_log:
        return f"Gateway {name} cannot tell whether anything was sent meanwhile."
    since = datetime.fromisoformat(question.since) if question.since else None
    if since is None or (clock.now() - since).total_seconds() > gateway.policy.close_unknown_after:
        return f"The log of gateway {name} does not reach back to then."
    return gateway


def _request(question: Question) -> str:
    """Return what an operator is asked for."""
    return f"{question.unable} Confirm that this is no backup that was put back: then release sending."


def _call_operator(question: Question, claimed: Stored[Question | None]) -> None:
    question = replace(question, not_before=float("inf"))
    sending_hold.hold(_request(question), "smsapp", kind=HoldKind.CONFIRM, detail=question.why, at=clock.now())
    QUESTION.compare_and_set(claimed, question)
    logger.error("sending waits for an operator. %s %s", question.why, _request(question))


def _put_down(question: Question, claimed: Stored[Question | None]) -> None:
    """Leave the next step to another worker, and say with the hold why it takes longer."""
    QUESTION.compare_and_set(claimed, question)
    if question.note:
        urgent = question.tries >= TRIES
        kind = HoldKind.CONFIRM if urgent else HoldKind.CHECKING
        advice = " It is asked again; to send without its answer, release sending." if urgent else ""
        sending_hold.hold(REASON, "smsapp", kind=kind, detail=f"{question.why} {question.note}{advice}", at=clock.now())
        logger.warning("sending waits for an answer. %s", question.note)


def _waiting(now: datetime) -> QuerySet[Campaign]:
    """Return campaigns that have something queued, unknown, not expanded yet, or due."""
    unmade = Q(status__in=(CampaignStatus.RUNNING, CampaignStatus.PAUSED), chunks_done__lt=F("chunk_count"))
    due = Q(status=CampaignStatus.SCHEDULED, scheduled_at__lte=now)
    return Campaign.objects.filter(Q(queued__gt=0) | Q(unknown__gt=0) | unmade | due, closed_at=None)


def _with_log() -> list[str]:
    """Return gateways of live messages that can be asked."""
    return [name for name in router.live_gateways() if registry.policy_of(name).has_log]


def _carriers(now: datetime) -> list[str]:
    """Return all gateways that may have got some of what waits."""
    waiting = _waiting(now)
    unsent = Batch.objects.filter(Q(queued__gt=0) | Q(unknown__gt=0), campaign__in=waiting).exclude(gateway="")
    names = set(unsent.order_by().values_list("gateway", flat=True).distinct())
    modes = set(waiting.order_by().values_list("mode", flat=True).distinct())
    recurring = RecurringCampaign.objects.filter(status=RecurringStatus.ACTIVE, next_run_at__lte=now)
    modes |= set(recurring.values_list("mode", flat=True))
    names |= {registry.SIMULATOR} if Mode.TEST in modes else set()
    names |= set(router.live_gateways()) if Mode.LIVE in modes else set()
    return sorted(names)


def _claim() -> Stored[Question | None] | None:
    """Claim the next step of the question. Return None if there is none, or somebody else is at it."""
    stored, now = QUESTION.read(), clock.now().timestamp()
    question = stored.value
    if question is None or question.not_before > now:
        return None
    if not question.put_at:  # by a version that did not record whom it concerns
        question = replace(question, carriers=tuple(_carriers(clock.now())), put_at=now)
    return QUESTION.compare_and_set(stored, replace(question, not_before=now + STEP_TIME))


def _in(seconds: float) -> float:
    return clock.now().timestamp() + seconds
