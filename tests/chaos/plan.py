"""What is done to a running campaign and when: a function of the seed. Pure.

A moment is a number of messages handed over and not a time, so that a slow machine gets the same plan as a fast one.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

LATENCY = 0.3  # seconds of a call at the simulator
LAST_MOMENT = 0.85  # share of the messages handed over when the last blow falls: something must be left to hurt
IN_CALL = 0.9  # share of the blows at the sending worker that wait until it has a call open
OTHER_EVERY = 10  # kills for each pause, freeze and outage
SUPERVISOR_EVERY = 2  # kills for each of the supervisor's, where that can be killed


class Target(StrEnum):
    CHILD = "child"  # a prefork child of the worker that sends campaigns
    WORKER = "worker"  # that worker with its children
    WORKER_ALONE = "worker alone"  # its main process, with which the kernel ends its children
    SINGLES_CHILD = "singles child"  # of the worker that sends single messages
    SINGLES_WORKER = "singles worker"
    REPORTS_CHILD = "reports child"
    REPORTS_WORKER = "reports worker"
    PERIODIC_CHILD = "periodic child"  # of the worker that looks up, polls and sweeps
    PERIODIC_WORKER = "periodic worker"
    WEBHOOKS_CHILD = "webhooks child"
    WEBHOOKS_WORKER = "webhooks worker"  # it calls the customer's server
    WEB = "web"  # the web server with its processes
    WEB_CHILD = "web child"
    BEAT = "beat"
    BROKER = "broker"
    SUPERVISOR = "supervisor"  # `manage.py run`, with which all that it runs has to end
    DATABASE = "database"  # the database server with all its processes
    CONNECTIONS = "connections"  # no kill: every connection to the database is cut
    FLUSH = "flush"  # no kill: the broker forgets everything of this installation
    DISK = "disk"  # no kill: for some seconds nothing can be written to the database
    FREEZE = "freeze"  # no kill: a child with a call open stands still for longer than its lease
    PAUSE = "pause"  # no kill: the campaign is paused and resumed
    POISON = "poison"  # in no plan, but a run of its own: a batch that kills whoever takes it


SENDING = (Target.CHILD, Target.WORKER, Target.WORKER_ALONE)
NO_KILL = (Target.CONNECTIONS, Target.FLUSH, Target.DISK, Target.FREEZE, Target.PAUSE)
#: Those that wait until the sending worker has a call open, save for a share of SENDING.
IN_CALLS = (*SENDING, Target.FREEZE, Target.DATABASE, Target.CONNECTIONS)

#: How often each is hit, in relation to the others.
WEIGHTS: dict[tuple[Target, ...], int] = {
    (Target.CHILD,): 54,
    (Target.WORKER, Target.WORKER_ALONE): 32,  # alternately, as are the others that stand together
    (Target.SINGLES_CHILD, Target.SINGLES_WORKER): 4,
    (Target.REPORTS_CHILD, Target.REPORTS_WORKER): 4,
    (Target.PERIODIC_CHILD, Target.PERIODIC_WORKER): 8,
    (Target.WEBHOOKS_CHILD, Target.WEBHOOKS_WORKER): 6,
    (Target.WEB, Target.WEB_CHILD): 9,
    (Target.BEAT,): 6,
    (Target.BROKER,): 7,
    (Target.DATABASE,): 14,
}


@dataclass(frozen=True, slots=True)
class Event:
    """`at`: messages handed over. `delay`: seconds to let pass then. `pick`: 0 to 1, which of several processes.
    `seconds`: how long a pause, or the life of an orphan, lasts."""

    at: int
    target: Target
    wants_call: bool
    delay: float
    pick: float
    seconds: float


def make_plan(seed: int, messages: int, kills: int, targets: Collection[Target]) -> list[Event]:
    """`kills` kills, the first of them while the campaign is being expanded, and some of whatever else there is among
    the targets, in order."""
    chance = random.Random(f"chaos:{seed}")
    victims = _victims(chance, kills, targets)
    last = max(1, int(messages * LAST_MOMENT))
    moments = sorted(chance.randrange(last) for _ in range(kills))
    events = [_event(chance, at, target) for at, target in zip([0, *moments[1:]], victims, strict=True)]
    for target in NO_KILL:
        if target in targets:
            events += [_event(chance, chance.randrange(last), target) for _ in range(max(1, kills // OTHER_EVERY))]
    if Target.SUPERVISOR in targets:
        blows = max(1, kills // SUPERVISOR_EVERY)
        events += [_event(chance, chance.randrange(last), Target.SUPERVISOR) for _ in range(blows)]
    return sorted(events, key=lambda event: event.at)


def _victims(chance: random.Random, kills: int, targets: Collection[Target]) -> list[Target]:
    weights = {kinds: weight for kinds, weight in WEIGHTS.items() if set(kinds) <= set(targets)}
    turns = dict.fromkeys(weights, 0)
    # of these no plan is without, unless it is a short one
    always = (Target.DATABASE, Target.CHILD, Target.WORKER, Target.WEBHOOKS_WORKER, Target.WEBHOOKS_CHILD)
    victims = [target for target in always if target in targets][:kills]
    for kinds in chance.choices(list(weights), list(weights.values()), k=kills - len(victims)):
        victims.append(kinds[turns[kinds] % len(kinds)])
        turns[kinds] += 1
    chance.shuffle(victims)
    return victims


def _event(chance: random.Random, at: int, target: Target) -> Event:
    return Event(
        at,
        target,
        wants_call=target in IN_CALLS and (target not in SENDING or chance.random() < IN_CALL),
        delay=chance.uniform(0, LATENCY),
        pick=chance.random(),
        seconds=chance.uniform(0.2, 1.5),
    )
