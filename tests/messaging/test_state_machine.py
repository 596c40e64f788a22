"""The real services and the real simulator under any order of steps: workers that freeze, die and come back, lost
answers, look-ups applied late, reports repeated and contradicting each other, and people who change their mind.

Each rule is one step of one worker, so a call can stand between any two of them while everything else goes on.
Time is moved, never waited for. CHAOS_EXAMPLES sets how many runs there are, CHAOS_STEPS how long each is.
"""

import os
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import orjson
import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from campaigns import services as campaign_services
from campaigns.choices import CAMPAIGN, Actor, CampaignStatus
from campaigns.models import Campaign
from messaging.choices import ACCEPTED, NEVER_HANDED_OVER, AttemptState, BatchState, FactSource, Lane, MessageStatus
from messaging.gateways import registry
from messaging.gateways.base import Unknown
from messaging.models import Attempt, Batch, DeliveryReport, Message, ReportInbox
from messaging.outcomes import reconciliation, report_inbox, settlement
from messaging.routing import rotation, throttle
from messaging.routing.throttle_state import Grant
from messaging.sending import dispatch, leases, record, submit
from messaging.sending.expansion import expand_ready
from messaging.simulator import outcomes
from messaging.upkeep import sweeps
from tests.support.factories import make_campaign
from tests.support.pipeline.assertions import assert_counted, charged_segments
from tests.support.pipeline.steps import opened_of
from tests.support.servers.simulators import running_simulator
from uploads.models import Audience, Suppression
from uploads.suppressions import suppress, suppressed_among

pytestmark = pytest.mark.platform

S = MessageStatus

BATCH_SIZE = 2
MAX_CAMPAIGNS = 5
ROUNDS_FROZEN = 3  # enough to sweep a lease, look its call up and send again what is absent
MAX_ROUNDS = 60  # of everything beat would wake, until all is settled
AGES = {"young": timedelta(0), "proof": timedelta(minutes=5), "log is over": timedelta(hours=2)}
#: Age of an attempt and what the log does when it is looked up. It never lags as long as absence takes to be proof:
#: that is what `resend_unknown_after` means.
LOOKUPS = [("proof", ""), ("young", "log_lag"), ("proof", "log_outage"), ("young", ""), ("log is over", "log_outage")]

SEND_FAULTS = [
    "accept_reset",
    "accept_hang",
    "accept_500",
    "truncated_json",
    "cut_body",
    "html_200",
    "reset_before",
    "hang_before",
    "error_500",
    "unavailable_503",
    "redirect_307",
    "throttle",
    "refuse_400",
    "refuse_401",
    "refuse_account",
    "omit_ids",
    "omit_ids",
    "refuse_message",
    "reorder_answer",
]
PER_MESSAGE = ("omit_ids", "refuse_message")
#: What a provider may say of a message that it has taken, whatever it said before.
LATER_WORDS = [
    outcomes.PENDING_ENROUTE,
    outcomes.TO_HANDSET,
    outcomes.NOT_DELIVERED,
    outcomes.EXPIRED,
    outcomes.BLOCKLISTED,
    outcomes.NO_CREDIT,
    outcomes.TO_OPERATOR,
    outcomes.DLR_UNKNOWN,
]
MOVES = {"pause": CampaignStatus.PAUSED, "resume": CampaignStatus.RUNNING, "cancel": CampaignStatus.CANCELLED}
picks = st.integers(0, 7)  # of what there is, counted round


class Held(NamedTuple):
    """A worker that stands still after `leased` (a batch), `opened` (a call), `called` (a result), `looked up`."""

    after: str
    what: Any

    @property
    def batch(self) -> Batch:
        match self.after:
            case "leased":
                return self.what
            case "opened":
                return self.what.batch
            case "called":
                return self.what.call.batch
            case _:
                return self.what.attempt.batch


class Move(NamedTuple):
    """How a worker goes on: so many of its steps, then it freezes. `is_lost`: the answer is cut off on its way."""

    steps: int = 4
    wakes_up: int | None = None
    limit: int = 1
    fault: str | None = None
    is_lost: bool = False


moves = st.builds(
    Move,
    steps=st.sampled_from([4, 0, 1, 2, 3]),
    wakes_up=st.none() | picks,
    limit=st.integers(1, 2),
    fault=st.sampled_from([None, None, *SEND_FAULTS]),
    is_lost=st.booleans(),
)


class Pipeline(RuleBasedStateMachine):
    """`held` is what workers have in memory between two steps, for a moment or for good."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.simulator = self.stack.enter_context(
            running_simulator(undelivered=0.1, rejected=0.1, report_delay_ms=0.0, hang_seconds=0.01, refuse_repeated=0)
        )
        django_settings = self.django_settings
        django_settings.SIMULATOR_URL, django_settings.SIMULATOR_API_KEY = self.simulator.url, self.simulator.api_key
        registry.reset()
        for model in (DeliveryReport, ReportInbox, Attempt, Message, Batch, Campaign, Audience, Suppression):
            model.objects.all().delete()
        self.held: list[Held] = []
        self.refused_later: set[str] = set()
        self.is_broken = False

    django_settings = None  # pytest-django's fixture, set by the test

    # --- people ---------------------------------------------------------------------------------------------

    @initialize(batches=st.integers(2, 4))
    def new_campaign(self, batches: int) -> None:
        make_campaign(count=batches * BATCH_SIZE - 1)
        expand_ready()

    @rule(
        move=moves,
        pick=picks,
        recipient=picks,
        what=st.sampled_from(["cancel", "pause", "resume", "opt out", "expire"]),
    )
    def interfere(self, move: Move, pick: int, recipient: int, what: str) -> None:
        campaign = self.campaign(pick)
        if what in MOVES:
            if CAMPAIGN.may(campaign.status, MOVES[what], Actor.PERSON):
                getattr(campaign_services, what)(campaign, campaign.user)
        elif what == "opt out":
            phones = list(campaign.messages.order_by("id").values_list("phone_number", flat=True))
            suppress(campaign.account, phones[recipient % len(phones)], "STOP")
        else:
            Campaign.objects.filter(pk=campaign.pk).update(valid_until=timezone.now() - timedelta(seconds=1))
        sweeps.sweep()  # as `cancel` asks for
        self.advance(move)

    # --- workers --------------------------------------------------------------------------------------------

    @rule(move=moves)
    def work(self, move: Move) -> None:
        self.advance(move)

    @precondition(lambda self: self.held)
    @rule(move=moves, pick=picks)
    def crash(self, move: Move, pick: int) -> None:
        self.take(pick)
        self.advance(move)

    def advance(self, move: Move) -> None:
        """A frozen worker goes on where it stood, or another one begins; each may freeze again on its way."""
        if self.held and move.wakes_up is not None:
            self.go_on(self.take(move.wakes_up), move)
            return
        Batch.objects.update(next_attempt_at=timezone.now())
        leased = leases.lease(Lane.CAMPAIGNS, move.limit)
        for batch in leased:
            self.go_on(Held("leased", batch), move)
        if not leased and Campaign.objects.count() < MAX_CAMPAIGNS:
            self.new_campaign(move.limit)

    def go_on(self, held: Held, move: Move) -> None:
        if not move.steps:
            self.held.append(held)
            return
        match held:
            case Held("leased", batch):
                call = opened_of(batch)
                following = Held("opened", call) if call else None
                if call:
                    self.check_may_be_sent(call)
            case Held("opened", call):
                self.simulator.set_faults(
                    **({move.fault: 0.5 if move.fault in PER_MESSAGE else 1.0} if move.fault else {})
                )
                following = Held("called", submit.make_call(call))
                self.simulator.set_faults()
            case Held("called", result):
                if move.is_lost and result.answer is not None:
                    result = submit.Result(result.call, error=Unknown("lost"))
                following = record.record(result)
            case Held("looked up", asked):
                following = reconciliation.record(asked) and None
        if following:
            self.go_on(following, move._replace(steps=move.steps - 1))

    @precondition(lambda self: Batch.objects.filter(state=BatchState.LEASED).exists())
    @rule(move=moves, pick=picks, is_swept=st.booleans())
    def end_lease(self, move: Move, pick: int, is_swept: bool) -> None:
        """The worker may come back before it is swept."""
        leased = list(Batch.objects.filter(state=BatchState.LEASED).order_by("pk"))
        self.overstay(leased[pick % len(leased)])
        if is_swept:
            sweeps.sweep()
        self.advance(move)

    # --- look-ups -------------------------------------------------------------------------------------------

    @precondition(lambda self: Attempt.objects.filter(state=AttemptState.UNKNOWN).exists())
    @rule(move=moves, pick=picks, when=st.sampled_from(LOOKUPS), is_frozen=st.booleans())
    def look_up(self, move: Move, pick: int, when: tuple[str, str], is_frozen: bool) -> None:
        """`is_frozen`: the worker stops between the provider's word and writing it down."""
        age, fault = when
        unknown = list(Attempt.objects.filter(state=AttemptState.UNKNOWN).order_by("pk"))
        attempt = unknown[pick % len(unknown)]
        self.grow_old([attempt.pk], AGES[age])
        attempt.refresh_from_db()
        if fault == "log_lag" and timezone.now() - attempt.finished_at >= AGES["proof"]:
            fault = ""  # it was looked up at that age before
        self.simulator.set_faults(**({fault: 1.0 if fault == "log_outage" else 60.0} if fault else {}))
        asked = reconciliation.ask(attempt)
        self.simulator.set_faults(log_lag=0.0)
        assert asked is not None
        self.go_on(Held("looked up", asked), Move(steps=0 if is_frozen else 1))
        self.advance(move)

    # --- delivery reports -----------------------------------------------------------------------------------

    @precondition(lambda self: self.taken())
    @rule(move=moves, pick=picks, is_repeated=st.booleans())
    def poll(self, move: Move, pick: int, is_repeated: bool) -> None:
        report_inbox.poll()
        bodies = list(ReportInbox.objects.order_by("pk"))
        if bodies and is_repeated:
            report_inbox.receive("simulator", FactSource.PUSH, bytes(bodies[pick % len(bodies)].body), 1)
        report_inbox.apply_waiting()
        self.advance(move)

    @precondition(lambda self: self.taken())
    @rule(move=moves, pick=picks, words=st.lists(st.sampled_from(LATER_WORDS), min_size=1, max_size=3))
    def push(self, move: Move, pick: int, words: list[dict]) -> None:
        """In one body, in this order, whatever they say."""
        taken = sorted(self.taken())
        message_id = taken[pick % len(taken)]
        if outcomes.BLOCKLISTED in words:
            self.refused_later.add(message_id)
        body = orjson.dumps({"results": [{"messageId": message_id, "status": status} for status in words]})
        report_inbox.receive("simulator", FactSource.PUSH, body, len(words))
        report_inbox.apply_waiting()
        self.advance(move)

    @precondition(lambda self: Batch.objects.filter(sent__gt=0).exists())
    @rule(move=moves)
    def give_up_reports(self, move: Move) -> None:
        Batch.objects.update(report_deadline=timezone.now() - timedelta(seconds=1))
        sweeps.sweep()
        self.advance(move)

    # --- what always holds ----------------------------------------------------------------------------------

    @invariant()
    def promises_hold(self) -> None:
        self.is_broken = True
        for campaign in Campaign.objects.all():
            assert_counted(campaign)
        for batch in Batch.objects.all():
            messages = Message.objects.filter(pk__range=(batch.pk << 10, (batch.pk << 10) + 1023))
            recount = Counter(S(status).label for status in messages.values_list("status", flat=True))
            assert Counter({status: count for status, count in batch.tally.items() if count}) == recount
            assert batch.segments == charged_segments(batch)
            assert batch.state in (BatchState.LEASED, BatchState.DEFERRED, settlement.resting_state(batch))
        self.compare_with_ledger()
        self.is_broken = False

    def compare_with_ledger(self) -> None:
        taken = self.taken()
        assert {i: count for i, count in taken.items() if count > 1} == {}, "doubled"
        for message in Message.objects.order_by("id"):
            status, message_id = S(message.status), message.message_id
            if status in ACCEPTED:
                assert message_id in taken, f"{message_id} is {status.label}, and was never taken"
            if status in NEVER_HANDED_OVER and not (status is S.REJECTED and message_id in self.refused_later):
                assert message_id not in taken, f"{message_id} is {status.label}, and was taken"

    @staticmethod
    def check_may_be_sent(call: submit.Call) -> None:
        campaign = Campaign.objects.get(pk=call.batch.campaign_id)
        assert campaign.status == CampaignStatus.RUNNING
        assert not suppressed_among(campaign.account, [message.phone_number for message in call.submission.messages])

    def teardown(self) -> None:
        try:
            if not self.is_broken and Campaign.objects.exists():
                self.run_dry()
        finally:
            self.stack.close()
            registry.reset()

    def run_dry(self) -> None:
        """Nothing goes wrong any more: whoever is frozen comes back too late, and everything must come to its end."""
        for _ in range(ROUNDS_FROZEN):
            self.round()
            self.promises_hold()
        while self.held:
            self.go_on(self.take(0), Move())
            self.promises_hold()
        for _ in range(MAX_ROUNDS):
            if not Campaign.objects.filter(closed_at=None).exists():
                break
            self.round()
        self.promises_hold()
        assert not Message.objects.filter(status__in=(S.QUEUED, S.UNKNOWN, S.SENT)).exists()
        assert not Campaign.objects.filter(closed_at=None).exists()

    def round(self) -> None:
        for campaign in Campaign.objects.filter(status=CampaignStatus.PAUSED):
            campaign_services.resume(campaign, campaign.user)
        for batch in Batch.objects.filter(state=BatchState.LEASED):
            self.overstay(batch)
        self.grow_old(Attempt.objects.filter(state=AttemptState.UNKNOWN).values_list("pk", flat=True), AGES["proof"])
        Batch.objects.update(next_attempt_at=timezone.now())
        rotation.forget()  # what would not tell is asked again
        expand_ready()
        dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10)
        reconciliation.reconcile()
        report_inbox.poll()
        report_inbox.apply_waiting()
        sweeps.sweep()

    # --- helpers --------------------------------------------------------------------------------------------

    def take(self, pick: int) -> Held:
        return self.held.pop(pick % len(self.held))

    def campaign(self, pick: int) -> Campaign:
        """One that a frozen worker is busy with, if there is any."""
        busy = [held.batch.campaign_id for held in self.held]
        campaigns = Campaign.objects.filter(pk__in=busy) if busy else Campaign.objects.all()
        return campaigns.order_by("pk")[pick % campaigns.count()]

    def taken(self) -> dict[str, int]:
        """How often the gateway has taken each message."""
        ledger = self.simulator.simulator.ledger
        return {i: 1 + ledger.extra[i] for i, entry in list(ledger.entries.items()) if entry.outcome.accepted}

    def overstay(self, batch: Batch) -> None:
        """Time passes until its lease is over: in the database, and for the worker that holds a call of it."""
        past = timezone.now() - timedelta(seconds=1)
        Batch.objects.filter(pk=batch.pk).update(lease_until=past)
        Attempt.objects.filter(batch=batch, state=AttemptState.OPEN).update(deadline=past)
        self.held = [
            Held("opened", replace(held.what, submission=replace(held.what.submission, begin_before=time.monotonic())))
            if held.after == "opened" and held.batch.pk == batch.pk
            else held
            for held in self.held
        ]

    @staticmethod
    def grow_old(attempts, age: timedelta) -> None:
        """Their calls ended so long ago, or longer, and their look-ups are due."""
        now = timezone.now()
        for attempt in Attempt.objects.filter(pk__in=attempts):
            ended = min(attempt.finished_at, now - age)
            Attempt.objects.filter(pk=attempt.pk).update(finished_at=ended, next_lookup_at=now)


@pytest.fixture
def patient(settings, monkeypatch):
    """Timers that only pass when a rule moves them; small batches; a batch is poison after three leases."""
    settings.BATCH_SIZE = BATCH_SIZE
    settings.MAX_LEASES = 3
    settings.GATEWAY_TIMEOUT = 5.0
    settings.LEASE_MARGIN = 0.0
    settings.SIMULATOR_UNKNOWN_GRACE = 60.0
    settings.SIMULATOR_RESEND_UNKNOWN_AFTER = 120.0
    settings.UNKNOWN_CLOSE_AFTER = 3600.0
    monkeypatch.setattr("smsapp.core.enqueue._send", lambda *arguments: None)  # the rules decide who works when
    monkeypatch.setattr(throttle, "take", lambda gateway, wanted, *, yields: Grant(wanted, 0.0))  # and nothing but they
    monkeypatch.setattr(Pipeline, "django_settings", settings)


EXAMPLES = {"sqlite": 8, "postgresql": 3}  # each begins with empty tables, which takes PostgreSQL ten times as long


@pytest.mark.django_db(transaction=True)
def test_no_order_of_steps_loses_doubles_or_misstates_a_message(patient):
    run_state_machine_as_test(
        Pipeline,
        settings=settings(
            max_examples=int(os.environ.get("CHAOS_EXAMPLES") or EXAMPLES[connection.vendor]),
            stateful_step_count=int(os.environ.get("CHAOS_STEPS", "25")),
            deadline=None,
            derandomize=True,
            database=None,
            phases=[
                Phase.generate
            ],  # making a failing run shorter takes minutes, and the steps can be read as they are
            suppress_health_check=list(HealthCheck),
        ),
    )
