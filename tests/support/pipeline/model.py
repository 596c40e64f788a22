"""One message, explored: every interleaving of two workers, the gateway, look-ups, the sweep and people.

A state is a plain tuple; `explore` walks all that can be reached, breadth first, so that the first broken promise
comes with the shortest way to it. No database and no clock: whatever may happen at some time may happen at any
time, save two assumptions about time, which are those of the pipeline:

* a request that has left arrives, if ever, before its attempt's deadline (a call never begins without that much time);
* `resend_unknown_after` the end of a call, the request has arrived or never will, and the provider's log shows it.

What a fact or decision makes of the message comes from the product's own tables; what a step does around it follows
`dispatch`, `settlement`, `reconciliation` and `sweeps`. `Rules` can leave out one guard at a time.

Promises, over all states that can be reached:

    DOUBLED    never accepted twice by the gateway
    MISSTATED  what says "never handed over" is not at the gateway nor on its way; what says "handed over" is there
    REOPENED   rank never falls, save for the corrections and for a message that is proven absent and sent again
    STUCK      with a healthy gateway, every message can still come to a closed state
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from messaging.choices import ACCEPTED, MESSAGE, NEVER_HANDED_OVER, OPEN, RANK, FactSource, MessageStatus

M = MessageStatus
Moves = Mapping[MessageStatus, frozenset[MessageStatus]]

#: The product's table, by who moves: what was learned, what we decide, what is refused later.
DECISION_MOVES = MESSAGE.moves(FactSource.DECISION)
REFUSAL_MOVES = MESSAGE.moves(FactSource.REFUSAL)
FACT_MOVES = MESSAGE.moves(*set(FactSource) - {FactSource.DECISION, FactSource.REFUSAL})

LIVE_ATTEMPTS = 2  # at most so many of which anybody still knows

#: What became of a request. NOT_KEPT: it was lost, or our rate was refused. REPEATED: refused, known already.
FLYING, KEPT, ACCOUNT_REFUSED, NOT_KEPT, REPEATED = "flying", "kept", "account refused", "not kept", "repeated"
#: What the gateway did with the message. TAKEN_THEN_REFUSED: accepted, and refused by a later report.
TAKEN, TAKEN_THEN_REFUSED, REFUSED = "taken", "taken then refused", "refused"
#: States of an attempt. ENDED: answered, not sent or resolved.
CALL_OPEN, CALL_UNKNOWN, CALL_ENDED = "open", "unknown", "ended"
#: Age of an unknown attempt: its absence proves nothing yet; is proof; the provider's log is over.
YOUNG, PROOF, OLD = range(3)
#: Phases of a worker, and the result it may hold beside those above.
IDLE, LEASED, OPENED, CALLING, RETURNED = "idle", "leased", "opened", "calling", "returned"
ANSWER_LOST = "answer lost"
#: What a look-up is about to do.
SEND_AGAIN, CLOSE, NOTHING, UNDECIDED = "send again", "close", "nothing", "undecided"

#: What may be said of a message, by what the gateway did with it; repeated, in any order, contradictory.
REPORTS = {
    "": (),
    TAKEN: (M.SENT, M.DELIVERED, M.UNDELIVERED, M.UNCONFIRMED),
    TAKEN_THEN_REFUSED: (M.SENT, M.REJECTED),
    REFUSED: (M.REJECTED,),
}
CORRECTIONS = frozenset({(M.UNDELIVERED, M.DELIVERED)} | {(M.UNCONFIRMED, to) for to in (*ACCEPTED, M.REJECTED)})
SENT_AGAIN = (M.UNKNOWN, M.QUEUED)


@dataclass(frozen=True)
class Rules:
    """How the gateway behaves, and the guards of the pipeline; a guard that is False is a seeded defect."""

    refuses_repeated_ids: bool = False
    resends_absent: bool = True  # Policy.resend_unknown_after is set
    may_refuse_account: bool = True

    has_epoch: bool = True  # a lease that was taken away is noticed
    keeps_time_out_unknown: bool = True  # a lost answer is not "not sent"
    loses_open_calls: bool = True  # a call that is open when its lease ends becomes unknown
    spares_open_calls: bool = True  # cancelling leaves a batch alone that somebody holds
    waits_for_proof: bool = True  # absence counts only when the attempt is old enough
    ages_when_asked: bool = True  # and its age is taken before the provider is asked
    checks_deadline: bool = True  # no call begins after its attempt's deadline
    looks_before_resending: bool = True  # silence of the log is not absence
    drops_stale_lookups: bool = True  # a look-up whose claim was taken over says nothing of absence
    minds_later_calls: bool = True  # a look-up says nothing of a message that a later call carried
    keeps_given_up: bool = True  # what comes late settles no attempt that the sweep has given up
    has_rank: bool = True  # the tables are asked at all

    fact_moves: Moves = field(default_factory=lambda: FACT_MOVES)
    decision_moves: Moves = field(default_factory=lambda: DECISION_MOVES)


class Attempt(NamedTuple):
    """`neighbour`: another message of the same call is unknown. `superseded`: a later call carried our message."""

    state: str = CALL_OPEN
    age: int = YOUNG
    request: str = ""
    neighbour: bool = False
    superseded: bool = False


class Worker(NamedTuple):
    """`has_lease`: the batch's epoch is the one it took. `result` is what its call came to."""

    phase: str = IDLE
    has_lease: bool = False
    attempt: int = -1
    result: str = ""


class Lookup(NamedTuple):
    """One that was answered and not yet applied. `is_mine`: nobody has claimed the attempt since. One that found the
    message is applied at once: applied later, it is a report."""

    attempt: int
    is_mine: bool
    verdict: str


class State(NamedTuple):
    """`accepted` counts. A paused campaign is one whose batches wait, and any step may wait here."""

    status: MessageStatus = M.QUEUED
    is_cancelled: bool = False
    is_leased: bool = False
    lease_is_over: bool = False
    workers: tuple[Worker, ...] = (Worker(), Worker())
    attempts: tuple[Attempt, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    accepted: int = 0
    at_gateway: str = ""


class Step(NamedTuple):
    """`is_healthy`: needs neither fault nor crash nor a person who stops something."""

    name: str
    after: State
    is_healthy: bool = True


@dataclass(frozen=True)
class Explored:
    states: int
    broken: str = ""
    steps: tuple[str, ...] = ()


def explore(rules: Rules, promise: str = "", limit: int = 300_000) -> Explored:
    """All states, until a promise, or the one that is named, breaks; `steps` is then the shortest way there.
    RuntimeError beyond `limit` states."""
    start = State()
    came_from: dict[State, tuple[State, str] | None] = {start: None}
    healthy_before: dict[State, list[State]] = {}
    waiting = deque([start])
    while waiting:
        state = waiting.popleft()
        for name, reached, is_healthy in moves_of(state, rules):
            if reached is state:
                continue
            after = tidy(reached, rules)
            broken = broken_by(state, after)
            if broken and promise in ("", broken):
                return Explored(len(came_from), broken, (*_way_to(state, came_from), name))
            if is_healthy:
                healthy_before.setdefault(after, []).append(state)
            if after not in came_from:
                came_from[after] = (state, name)
                waiting.append(after)
        if len(came_from) > limit:
            raise RuntimeError(f"more than {limit} states")
    stuck = _first_stuck(came_from, healthy_before)
    if stuck is not None and promise in ("", "STUCK"):
        return Explored(len(came_from), "STUCK", _way_to(stuck, came_from))
    return Explored(len(came_from))


def broken_by(before: State, after: State) -> str:
    """The promise that this step breaks, or nothing."""
    if after.accepted > 1:
        return "DOUBLED"
    if after.status in ACCEPTED and not after.accepted:
        return "MISSTATED"
    if after.status in NEVER_HANDED_OVER:
        has_it = after.accepted or any(attempt.request == FLYING for attempt in after.attempts)
        said_so = after.status is M.REJECTED and after.at_gateway == TAKEN_THEN_REFUSED
        if has_it and not said_so:
            return "MISSTATED"
    move = (before.status, after.status)
    falls = before.status is not after.status and RANK[after.status] <= RANK[before.status]
    return "REOPENED" if falls and move not in CORRECTIONS and move != SENT_AGAIN else ""


def moves_of(state: State, rules: Rules) -> Iterator[Step]:
    """Everything that may happen next."""
    for number, worker in enumerate(state.workers):
        yield from _worker_moves(state, number, worker, rules)
    for number, attempt in enumerate(state.attempts):
        yield from _gateway_moves(state, number, rules)
        if attempt.state == CALL_UNKNOWN:
            yield from _look_up(state, number, rules)
    for number, lookup in enumerate(state.lookups):
        left = state._replace(lookups=state.lookups[:number] + state.lookups[number + 1 :])
        yield Step("crash in a look-up", left, is_healthy=False)
        yield Step(f"record look-up: {lookup.verdict}", _settle_lookup(left, lookup, rules))
    yield from _reports(state, rules)
    yield from _sweep(state, rules)


# --- the tables -------------------------------------------------------------------------------------------


def fact(state: State, target: MessageStatus, rules: Rules, moves: Moves | None = None) -> State:
    """`settlement.apply`, for one message."""
    if not rules.has_rank:
        return state._replace(status=target)
    if target is M.REJECTED and state.status is M.SENT:
        target = M.UNDELIVERED
    allowed = (moves or rules.fact_moves).get(state.status, frozenset())
    return state._replace(status=target) if target in allowed else state


def decide(state: State, target: MessageStatus, rules: Rules) -> State:
    allowed = rules.decision_moves.get(state.status, frozenset())
    return state._replace(status=target) if target in allowed else state


# --- a worker: lease, open, call, record ------------------------------------------------------------------


def _worker_moves(state: State, number: int, worker: Worker, rules: Rules) -> Iterator[Step]:
    if worker.phase == IDLE:
        yield from _lease(state, number)
        return
    left = _with_worker(state, number, Worker())
    yield Step("crash", left, is_healthy=False)
    if worker.phase == LEASED:
        yield from _open(state, number, worker, rules)
    elif worker.phase == OPENED:
        yield from _begin(state, number, worker, rules)
    elif worker.phase == CALLING:
        yield from _return(state, number, worker)
    else:
        yield from _record(left, worker, rules)


def _lease(state: State, number: int) -> Iterator[Step]:
    is_ready = state.status is M.QUEUED and not any(attempt.neighbour for attempt in state.attempts)
    if is_ready and not state.is_leased and not state.is_cancelled:
        leased = _lose_leases(state._replace(is_leased=True, lease_is_over=False))
        yield Step("lease", _with_worker(leased, number, Worker(LEASED, has_lease=True)))


def _open(state: State, number: int, worker: Worker, rules: Rules) -> Iterator[Step]:
    left = _with_worker(state, number, Worker())
    if not state.is_leased or state.lease_is_over or (rules.has_epoch and not worker.has_lease):
        yield Step("find the lease gone", left)
        return
    released = _release(left, worker, rules)
    yield Step("find the campaign stopped", released, is_healthy=False)
    if state.is_cancelled or state.status is not M.QUEUED:
        return
    yield Step("find it too late", decide(released, M.EXPIRED, rules), is_healthy=False)
    yield Step("find an opt-out", decide(released, M.SUPPRESSED, rules), is_healthy=False)
    if len(state.attempts) < LIVE_ATTEMPTS:
        earlier = tuple(attempt._replace(superseded=True) for attempt in state.attempts)
        opened = state._replace(attempts=(*earlier, Attempt()))
        yield Step("open", _with_worker(opened, number, worker._replace(phase=OPENED, attempt=len(earlier))))


def _begin(state: State, number: int, worker: Worker, rules: Rules) -> Iterator[Step]:
    """An attempt that is not open any more was given up at its deadline."""
    not_sent = _with_worker(state, number, worker._replace(phase=RETURNED, result=NOT_KEPT))
    is_past = state.lease_is_over or state.attempts[worker.attempt].state != CALL_OPEN
    if is_past and rules.checks_deadline:
        yield Step("begin no call", not_sent)
        return
    yield Step("cannot connect", not_sent, is_healthy=False)
    called = _with_attempt(state, worker.attempt, request=FLYING)
    yield Step("call", _with_worker(called, number, worker._replace(phase=CALLING)))


def _return(state: State, number: int, worker: Worker) -> Iterator[Step]:
    request = state.attempts[worker.attempt].request
    if request != FLYING:
        kept = REFUSED if state.at_gateway == REFUSED else TAKEN
        result = {KEPT: kept, REPEATED: TAKEN}.get(request, request)
        yield Step(f"answer: {result}", _with_worker(state, number, worker._replace(phase=RETURNED, result=result)))
    lost = _with_worker(state, number, worker._replace(phase=RETURNED, result=ANSWER_LOST))
    yield Step("lose the answer", lost, is_healthy=False)


def _record(state: State, worker: Worker, rules: Rules) -> Iterator[Step]:
    is_open = state.attempts[worker.attempt].state == CALL_OPEN or not rules.keeps_given_up
    ended = _with_attempt(state, worker.attempt, state=CALL_ENDED) if is_open else state
    unknown = _with_attempt(state, worker.attempt, state=CALL_UNKNOWN) if is_open else state
    match worker.result:
        case "taken" | "refused" as result:
            told = fact(ended, M.SENT if result == TAKEN else M.REJECTED, rules)
            yield Step(f"record {result}", _release(told, worker, rules))
        case "account refused":
            yield Step("record account refused", _release(ended, worker, rules))
            if is_open:
                beside = _with_attempt(unknown, worker.attempt, neighbour=True)
                yield Step("record account refused beside an unknown", _release(beside, worker, rules), False)
        case "answer lost" if rules.keeps_time_out_unknown:
            if is_open and state.status is M.QUEUED:
                unknown = fact(unknown, M.UNKNOWN, rules)
            yield Step("record unknown", _release(unknown, worker, rules))
        case _:
            released = _release(ended, worker, rules)
            yield Step("record not sent", released)
            if is_open and worker.result == NOT_KEPT:  # the call, of this message alone, was refused as wrong
                yield Step("record refused as wrong", fact(released, M.REJECTED, rules), is_healthy=False)


def _release(state: State, worker: Worker, rules: Rules) -> State:
    """Give the batch back, if it is still ours."""
    if not state.is_leased or (rules.has_epoch and not worker.has_lease):
        return state
    return _lose_leases(state._replace(is_leased=False, lease_is_over=False))


# --- the gateway ------------------------------------------------------------------------------------------


def _gateway_moves(state: State, number: int, rules: Rules) -> Iterator[Step]:
    attempt = state.attempts[number]
    if attempt.request == FLYING:
        yield from _arrive(state, number, rules)
    if attempt.neighbour:
        yield Step("report the neighbour", _with_attempt(state, number, neighbour=False))
    if attempt.state == CALL_UNKNOWN and attempt.age < OLD and attempt.request != FLYING:
        older = attempt.age + 1 if rules.resends_absent else OLD
        yield Step("grow older", _with_attempt(state, number, age=older))


def _arrive(state: State, number: int, rules: Rules) -> Iterator[Step]:
    for request in (NOT_KEPT, ACCOUNT_REFUSED) if rules.may_refuse_account else (NOT_KEPT,):
        yield Step(f"arrive: {request}", _with_attempt(state, number, request=request), is_healthy=False)
    if state.at_gateway and rules.refuses_repeated_ids:
        yield Step("arrive: repeated", _with_attempt(state, number, request=REPEATED))
        return
    for did in (TAKEN, TAKEN_THEN_REFUSED, REFUSED):
        arrived = _with_attempt(state, number, request=KEPT)
        yield Step(f"arrive: {did}", arrived._replace(accepted=state.accepted + (did != REFUSED), at_gateway=did))


def _reports(state: State, rules: Rules) -> Iterator[Step]:
    for status in REPORTS[state.at_gateway]:
        yield Step(f"report {status.label}", fact(state, status, rules))
    if state.at_gateway == TAKEN:
        refused = fact(state, M.UNDELIVERED, rules, REFUSAL_MOVES)
        yield Step("report account refused", refused, is_healthy=False)


# --- look-ups ---------------------------------------------------------------------------------------------


def _look_up(state: State, number: int, rules: Rules) -> Iterator[Step]:
    """Claim, which makes every other claim of this attempt stale, and ask."""
    attempt = state.attempts[number]
    claimed = state._replace(
        lookups=tuple(other._replace(is_mine=other.is_mine and other.attempt != number) for other in state.lookups)
    )
    verdicts = {_verdict(attempt.age, rules, is_conclusive=False)}
    if attempt.request == KEPT:
        for status in REPORTS[state.at_gateway]:
            told = fact(claimed, status, rules)
            yield Step(f"look-up finds {status.label}", _settle_lookup(told, Lookup(number, True, NOTHING), rules))
    if attempt.request != KEPT or attempt.age == YOUNG:  # the log lags behind
        verdicts.add(_verdict(attempt.age, rules, is_conclusive=True))
    if attempt.request == ACCOUNT_REFUSED:
        verdicts.add(ACCOUNT_REFUSED)
    for verdict in sorted(verdicts):
        lookup = Lookup(number, True, verdict)
        if verdict == NOTHING:
            yield Step("look-up finds nothing", _settle_lookup(claimed, lookup, rules))
        elif len(claimed.lookups) < 2:
            yield Step(f"look-up: {verdict}", claimed._replace(lookups=(*claimed.lookups, lookup)))


def _verdict(age: int, rules: Rules, *, is_conclusive: bool) -> str:
    if is_conclusive and not rules.ages_when_asked:
        return UNDECIDED
    is_absent = is_conclusive or not rules.looks_before_resending
    if is_absent and rules.resends_absent and (age >= PROOF or not rules.waits_for_proof):
        return SEND_AGAIN
    return CLOSE if age >= OLD else NOTHING


def _settle_lookup(state: State, lookup: Lookup, rules: Rules) -> State:
    attempt = state.attempts[lookup.attempt]
    if rules.drops_stale_lookups and not (lookup.is_mine and attempt.state == CALL_UNKNOWN):
        return state
    is_about_it = not (attempt.superseded and rules.minds_later_calls)
    verdict = lookup.verdict
    if verdict == UNDECIDED:
        verdict = SEND_AGAIN if attempt.age >= PROOF else NOTHING
    if is_about_it and state.status is M.UNKNOWN:
        if verdict in (SEND_AGAIN, ACCOUNT_REFUSED):
            state = decide(state, M.QUEUED, rules)
        elif verdict == CLOSE:
            state = fact(state, M.UNCONFIRMED, rules)
    if attempt.neighbour or (is_about_it and state.status is M.UNKNOWN):
        return state
    return _with_attempt(state, lookup.attempt, state=CALL_ENDED)


# --- time, the sweep, a person who cancels ----------------------------------------------------------------


def _sweep(state: State, rules: Rules) -> Iterator[Step]:
    if not state.is_cancelled:
        yield Step("cancel", state._replace(is_cancelled=True), is_healthy=False)
    if state.status is M.SENT:
        yield Step("give up the report", fact(state, M.UNCONFIRMED, rules))
    if state.status is M.QUEUED and not (state.is_leased and rules.spares_open_calls):
        yield Step("close as expired", decide(state, M.EXPIRED, rules), is_healthy=False)
        if state.is_cancelled:
            yield Step("close as cancelled", decide(state, M.CANCELLED, rules))
    if state.lease_is_over:
        ended = _end_lease(state, rules)
        yield Step("end the lease", ended)
        if ended.status is M.QUEUED:
            yield Step("end the last lease", decide(ended, M.FAILED, rules), is_healthy=False)
    elif state.is_leased and not any(
        attempt.state == CALL_OPEN and attempt.request == FLYING for attempt in state.attempts
    ):
        yield Step("pass the deadline", state._replace(lease_is_over=True))


def _end_lease(state: State, rules: Rules) -> State:
    for number, attempt in enumerate(state.attempts):
        if attempt.state != CALL_OPEN:
            continue
        if not rules.loses_open_calls:
            state = _with_attempt(state, number, state=CALL_ENDED)
            continue
        state = _with_attempt(state, number, state=CALL_UNKNOWN)
        if state.status is M.QUEUED:
            state = fact(state, M.UNKNOWN, rules)
    return _lose_leases(state._replace(is_leased=False, lease_is_over=False))


# --- states -----------------------------------------------------------------------------------------------


def _with_worker(state: State, number: int, worker: Worker) -> State:
    return state._replace(workers=(*state.workers[:number], worker, *state.workers[number + 1 :]))


def _with_attempt(state: State, number: int, /, **values: object) -> State:
    changed = state.attempts[number]._replace(**values)
    return state._replace(attempts=(*state.attempts[:number], changed, *state.attempts[number + 1 :]))


def _lose_leases(state: State) -> State:
    """The batch's epoch is nobody's any more."""
    return state._replace(workers=tuple(worker._replace(has_lease=False) for worker in state.workers))


def tidy(state: State, rules: Rules) -> State:
    """The same state in one form: without what can have no effect any more, and equal parts in one order."""
    workers = tuple(_tidy_worker(state, worker, rules) for worker in state.workers)
    lookups = tuple(lookup for lookup in state.lookups if lookup.is_mine or not rules.drops_stale_lookups)
    named = {worker.attempt for worker in workers} | {lookup.attempt for lookup in lookups}
    kept = [
        number
        for number, attempt in enumerate(state.attempts)
        if number in named or attempt.state != CALL_ENDED or attempt.request == FLYING
    ]
    if len(kept) < len(state.attempts):
        new = {number: place for place, number in enumerate(kept)} | {-1: -1}
        workers = tuple(worker._replace(attempt=new[worker.attempt]) for worker in workers)
        lookups = tuple(lookup._replace(attempt=new[lookup.attempt]) for lookup in lookups)
    attempts = tuple(state.attempts[number] for number in kept)
    status, is_cancelled, is_leased, lease_is_over, _, _, _, accepted, at_gateway = state
    one, other = workers
    ordered = workers if one <= other else (other, one)
    return State(
        status, is_cancelled, is_leased, lease_is_over, ordered, attempts, tuple(sorted(lookups)), accepted, at_gateway
    )


def _tidy_worker(state: State, worker: Worker, rules: Rules) -> Worker:
    """A worker whose call comes back after everything was taken from it changes nothing: what the provider told it
    is a report like any other."""
    if worker.phase not in (CALLING, RETURNED) or worker.has_lease or not (rules.has_epoch and rules.keeps_given_up):
        return worker
    return worker if state.attempts[worker.attempt].state == CALL_OPEN else Worker()


def _way_to(state: State, came_from: Mapping[State, tuple[State, str] | None]) -> tuple[str, ...]:
    steps = []
    while (step := came_from[state]) is not None:
        state = step[0]
        steps.append(step[1])
    return tuple(reversed(steps))


def _first_stuck(came_from: Mapping[State, object], healthy_before: Mapping[State, list[State]]) -> State | None:
    """The first state from which no healthy way leads to a closed one."""
    can_close = {state for state in came_from if state.status not in OPEN}
    waiting = deque(can_close)
    while waiting:
        for before in healthy_before.get(waiting.popleft(), ()):
            if before not in can_close:
                can_close.add(before)
                waiting.append(before)
    return next((state for state in came_from if state not in can_close), None)
