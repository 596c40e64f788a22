"""Which gateway messages go to, and where they go when it is down."""

from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from campaigns.choices import CampaignStatus, PauseReason
from messaging.choices import AttemptState, BatchState, GatewayKind, Lane, MessageStatus
from messaging.gateways import registry
from messaging.gateways.base import LookUpBy, NotSent, Refused, SubmitAnswer, Unknown
from messaging.models import Attempt, Batch, Gateway, Message, Route, RouteHealth
from messaging.routing import failover, throttle
from messaging.routing import router as routes
from messaging.routing.router import Router
from messaging.sending import dispatch, expansion, leases, prepare, record, submit
from messaging.sending.capacity import Capacity, Free
from tests.support.factories import AccountFactory, in_use, make_campaign
from uploads.audiences import audience_from_numbers

pytestmark = pytest.mark.django_db

GERMAN, BRITISH, AMERICAN = "+491511200001", "+447700900001", "+12025550100"


@pytest.fixture(autouse=True)
def fresh(settings: Any) -> Any:
    settings.GATEWAYS_READ_EVERY = 0.0
    settings.PUBLIC_URL = ""
    registry.reset()
    routes.forget()
    yield
    registry.reset()
    routes.forget()


def make_gateway(name: str, **values: Any) -> Gateway:
    row = Gateway(name=name, kind=GatewayKind.INFOBIP, base_url="http://127.0.0.1:9", **in_use() | values)
    row.secrets = {"api_key": f"key of {name}"}
    row.save()
    return row


def route(gateway: Gateway, prefix: str = "", **values: Any) -> Route:
    return Route.objects.create(gateway=gateway, prefix=prefix, **values)


def chosen(router: Router, phone: str, **options: Any) -> str | None:
    (prefix,) = router.prefixes_of([phone])
    choice = router.choose(prefix, **options)
    return choice and choice.gateway


def test_without_routes_everything_goes_to_the_preferred_gateway() -> None:
    assert chosen(Router(1, "", "live"), GERMAN) == "simulator"
    make_gateway("first")
    make_gateway("second")
    assert chosen(Router(1, "", "live"), GERMAN) == "first"
    assert chosen(Router(1, "", "test"), GERMAN) == "simulator"


def test_the_most_specific_route_wins() -> None:
    one, two, three, four, five = (make_gateway(name) for name in ("one", "two", "three", "four", "five"))
    account = AccountFactory()
    route(one)
    route(two, "49")
    route(three, "49151")
    route(four, "", sender_id="SHOP")
    route(five, "49", account=account)
    other = Router(account.pk + 1, "", "live")
    assert [chosen(other, phone) for phone in (AMERICAN, "+4930123456", GERMAN)] == ["one", "two", "three"]
    assert chosen(Router(account.pk + 1, "SHOP", "live"), GERMAN) == "four", "a sender before a prefix"
    assert chosen(Router(account.pk, "SHOP", "live"), GERMAN) == "five", "an account before a sender"
    assert chosen(Router(account.pk, "SHOP", "live"), AMERICAN) == "four"


def test_priority_comes_before_weight_and_the_next_is_for_when_it_is_down() -> None:
    main, spare = make_gateway("main"), make_gateway("spare")
    route(main, priority=10)
    route(spare, priority=20, weight=1000)
    router = Router(1, "", "live")
    assert {chosen(router, GERMAN) for _ in range(20)} == {"main"}
    assert chosen(router, GERMAN, without={"main"}) == "spare"
    assert chosen(router, GERMAN, without={"main", "spare"}) is None


def test_weights_share_the_messages_and_health_cuts_a_share() -> None:
    big, small = make_gateway("big"), make_gateway("small")
    route(big, weight=3)
    route(small, weight=1)
    router = Router(1, "", "live")
    names = [chosen(router, GERMAN) for _ in range(2000)]
    assert 0.68 < names.count("big") / 2000 < 0.82
    RouteHealth.objects.create(gateway="big", prefix="49", share=5, measured_at=timezone.now())
    router = Router(1, "", "live")
    names = [chosen(router, GERMAN) for _ in range(2000)]
    assert 0.05 < names.count("big") / 2000 < 0.22, "3 x 5 % against 1"
    (prefix,) = router.prefixes_of([AMERICAN])
    names = [router.choose(prefix).gateway for _ in range(500)]  # type: ignore[union-attr]
    assert names.count("big") > 300, "another country is not to blame"


def test_a_disabled_route_or_gateway_is_no_road() -> None:
    off, on = make_gateway("off", is_enabled=False), make_gateway("on")
    route(off, "49")
    assert chosen(Router(1, "", "live"), GERMAN) is None, "no route at all: the preferred gateway, and that is off"
    Gateway.objects.update(is_preferred=False)
    Gateway.objects.filter(name="on").update(is_preferred=True)
    assert chosen(Router(1, "", "live"), GERMAN) == "on"
    route(on, "44")
    route(on, "1", is_enabled=False)
    router = Router(1, "", "live")
    assert [chosen(router, phone) for phone in (GERMAN, BRITISH, AMERICAN)] == [None, "on", None]


def test_a_row_that_cannot_be_used_stands_in_nobodys_way() -> None:
    row = make_gateway("broken")
    Gateway.objects.filter(pk=row.pk).update(credentials="not encrypted")
    make_gateway("whole")
    registry.reset()
    assert registry.names() == ["whole", "simulator"]


def test_expansion_makes_batches_by_road() -> None:
    german, rest = make_gateway("german"), make_gateway("rest")
    route(german, "49")
    route(rest)
    account = AccountFactory()
    numbers = [(n, phone) for n, phone in enumerate([GERMAN, BRITISH, AMERICAN, "+491511200002"], 1)]
    campaign = make_campaign(account, audience=audience_from_numbers(account, numbers))
    expansion.expand_ready()
    batches = {batch.prefix: batch for batch in campaign.batches.all()}
    assert {(b.prefix, b.gateway, b.size) for b in batches.values()} == {
        ("49", "german", 2),
        ("44", "rest", 1),
        ("1", "rest", 1),
    }
    assert "+49" in batches["49"].route_note
    assert set(Message.objects.in_batch(batches["49"].pk).values_list("phone_number", flat=True)) == {
        GERMAN,
        "+491511200002",
    }


def test_one_road_for_all_costs_no_batch_more(settings: Any) -> None:
    route(make_gateway("only"))
    account = AccountFactory()
    campaign = make_campaign(account, audience=audience_from_numbers(account, [(1, BRITISH), (2, GERMAN)]))
    expansion.expand_ready()
    assert [(b.gateway, b.prefix, b.size) for b in campaign.batches.all()] == [("only", "", 2)]


# --- failing over ----------------------------------------------------------------------------------------------------


class Scripted:
    """A gateway that does as told, for every call."""

    def __init__(self, name: str, answer: Any) -> None:
        self.name, self._answer = name, answer
        self.policy = registry.get(name).policy
        self.seen: list[str] = []

    def submit(self, submission: Any) -> SubmitAnswer:
        ids = [message.message_id for message in submission.messages]
        self.seen += ids
        if isinstance(self._answer, Exception):
            raise self._answer
        return SubmitAnswer(200, accepted=ids)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`main`, and `spare` for when it is down; what each does is set by its answer."""
    route(make_gateway("main"), priority=1)
    route(make_gateway("spare"), priority=2)
    scripted = {name: Scripted(name, None) for name in ("main", "spare")}
    monkeypatch.setattr(registry, "get", lambda name: scripted[name])
    return scripted


def run(campaign: Any) -> None:
    expansion.expand_ready()
    Batch.objects.filter(state=BatchState.READY).update(next_attempt_at=timezone.now())
    dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=3.0)
    campaign.refresh_from_db()


def test_what_was_not_sent_for_certain_goes_to_the_next_gateway_at_once(two: Any) -> None:
    two["main"]._answer = NotSent("connection refused")
    campaign = make_campaign(count=3)
    run(campaign)
    assert (campaign.sent, two["main"].seen) == (3, two["spare"].seen)
    batch = campaign.batches.get()
    assert batch.gateway == "spare"
    assert "connection refused" in batch.route_note
    states = list(Attempt.objects.order_by("pk").values_list("gateway", "state"))
    assert states == [("main", AttemptState.NOT_SENT), ("spare", AttemptState.ANSWERED)]


def test_a_gateway_that_refuses_our_account_is_passed_by_and_nothing_is_paused(two: Any) -> None:
    two["main"]._answer = Refused("HTTP 401", 401, is_account=True)
    campaign = make_campaign(count=3)
    run(campaign)
    assert (campaign.sent, campaign.status) == (3, CampaignStatus.COMPLETED)


def test_when_both_refuse_our_account_the_campaign_is_paused_with_the_reason(two: Any) -> None:
    for gateway in two.values():
        gateway._answer = Refused("HTTP 401", 401, is_account=True)
    campaign = make_campaign(count=3)
    run(campaign)
    assert campaign.queued == 3
    assert len(two["main"].seen) + len(two["spare"].seen) < 3 * 50, "they do not refuse for ever in turn"
    assert (campaign.status, campaign.pause_reason) == (CampaignStatus.PAUSED, PauseReason.GATEWAY_REFUSED)


def test_an_unknown_outcome_stays_with_its_gateway(two: Any) -> None:
    two["main"]._answer = Unknown("no answer")
    campaign = make_campaign(count=3)
    run(campaign)
    assert (campaign.unknown, two["spare"].seen) == (3, [])
    assert campaign.batches.get().state == BatchState.UNKNOWN
    assert failover.move_all() == 0
    Batch.objects.update(gateway="spare", was_moved=True, state=BatchState.READY)
    dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=0.5)
    assert two["spare"].seen == []


def test_what_was_in_no_lost_call_goes_to_the_next_gateway(two: Any) -> None:
    campaign = make_campaign(count=3)
    expansion.expand_ready()
    Batch.objects.update(call_size=1)
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    (call,) = prepare.open_attempts([batch])
    record.record(submit.Result(call, error=Unknown("no answer")))
    assert failover._move("main", {"main"}, "is down") == 1
    run(campaign)
    assert (campaign.unknown, campaign.sent) == (1, 2)
    assert sorted(two["spare"].seen) == sorted(m.message_id for m in Message.objects.filter(status=MessageStatus.SENT))


def test_what_was_held_back_beside_lost_messages_goes_elsewhere(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a provider that takes one message a request: it never gets an unknown one again, so what is queued is free."""
    campaign = make_campaign(count=3)
    expansion.expand_ready()
    batch = campaign.batches.get()
    first = Message.objects.in_batch(batch.pk).order_by("id").first()
    assert first is not None
    Attempt.objects.create(
        batch=batch,
        gateway="main",
        reference="partly lost",
        epoch=0,
        first=first.id,
        last=first.id + 2,
        message_count=3,
        state=AttemptState.RESOLVED,
        deadline=timezone.now(),
        finished_at=timezone.now(),
    )
    policy = replace(two["main"].policy, look_up_by=LookUpBy.NOTHING)
    monkeypatch.setattr(registry, "policy_of", lambda name: policy)
    Batch.objects.update(gateway="spare", was_moved=True)
    run(campaign)
    assert len(two["spare"].seen) == 3


def test_a_gateway_that_wants_us_slower_keeps_its_batches(two: Any) -> None:
    two["main"]._answer = NotSent("HTTP 429", 429, throttled=True, retry_after=60)
    campaign = make_campaign(count=3)
    run(campaign)
    assert (campaign.queued, two["spare"].seen) == (3, [])
    assert campaign.batches.get().gateway == "main"


def test_batches_of_a_gateway_that_is_down_are_moved(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = make_campaign(count=3)
    expansion.expand_ready()
    assert failover.move_all() == 0, "nothing is down"
    monkeypatch.setattr(throttle, "is_down", lambda name: name == "main")
    assert failover.move_all() == 1
    batch = campaign.batches.get()
    assert (batch.gateway, batch.was_moved) == ("spare", True)
    assert batch.route_note.startswith("main is down")
    monkeypatch.setattr(throttle, "is_down", lambda name: True)
    assert failover.move_all() == 0, "there is nowhere to go, so it waits"


def test_batches_of_a_gateway_that_is_gone_go_elsewhere_or_are_paused(two: Any) -> None:
    campaign = make_campaign(count=3)
    expansion.expand_ready()
    Batch.objects.update(gateway="gone")
    assert failover.move_all() == 1
    assert campaign.batches.get().gateway == "main"
    Route.objects.all().delete()
    Gateway.objects.all().delete()
    Route.objects.create(gateway=make_gateway("far"), prefix="7")
    assert failover.move_all() == 0
    campaign.refresh_from_db()
    assert (campaign.status, campaign.pause_reason) == (CampaignStatus.PAUSED, PauseReason.GATEWAY_REFUSED)


def test_what_another_gateway_may_have_is_never_in_a_call_of_this_one(two: Any) -> None:
    """Rows that came back from a doubtful call, and others of the batch that were never in one."""
    campaign = make_campaign(count=6)
    expansion.expand_ready()
    batch = campaign.batches.get()
    first = Message.objects.in_batch(batch.pk).order_by("id").first()
    assert first is not None
    Attempt.objects.create(
        batch=batch,
        gateway="main",
        reference="doubtful",
        epoch=0,
        first=first.id + 2,
        last=first.id + 3,
        message_count=2,
        state=AttemptState.RESOLVED,
        deadline=timezone.now(),
        finished_at=timezone.now(),
    )
    Batch.objects.update(gateway="spare", was_moved=True)
    run(campaign)
    spans = Attempt.objects.filter(gateway="spare").order_by("pk").values_list("first", "last")
    assert list(spans) == [(first.id, first.id + 1), (first.id + 4, first.id + 5)]
    assert len(two["spare"].seen) == 4
    assert len(two["main"].seen) == 2, "the two went back to the gateway that may have them"
    assert campaign.sent == 6


def test_leasing_leaves_what_no_open_gateway_takes(two: Any) -> None:
    make_campaign(count=2)
    expansion.expand_ready()
    assert leases.lease(Lane.CAMPAIGNS, 5, Capacity({"spare": Free(5, 5)})) == []
    assert len(leases.lease(Lane.CAMPAIGNS, 5, Capacity({"main": Free(5, 5)}))) == 1
