"""What metered accounts pay: reserved before anything is sent, charged for what a provider took, exactly."""

import os
from datetime import timedelta
from functools import partial
from operator import attrgetter

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.billing import credit
from accounts.billing.prices import import_prices
from accounts.choices import LedgerKind, Mode
from accounts.models import Account, DailyUse, LedgerEntry, Price
from campaigns import services as campaign_services
from campaigns.choices import CampaignKind, CampaignStatus, PauseReason
from campaigns.models import Campaign
from campaigns.validation import CampaignRequest
from messaging.choices import FactSource, MessageStatus, Reason
from messaging.gateways.base import Report
from messaging.models import Batch, Message
from messaging.outcomes import billing, settlement
from messaging.outcomes.settlement import Fact
from messaging.sending import resending
from messaging.sending.expansion import expand_ready
from messaging.services import Sent, send
from messaging.upkeep import sweeps
from smsapp.core.exceptions import DestinationBlocked, InsufficientCredit, QuotaExceeded
from tests.support.factories import AccountFactory, MembershipFactory, make_audience, make_campaign, phones
from tests.support.pipeline.money import CENT, books, metered, settle
from tests.support.pipeline.rounds import eventually, run_dry
from tests.support.together import patiently, run_together
from uploads.audiences import audience_from_numbers

pytestmark = pytest.mark.django_db

S = MessageStatus
ON_POSTGRESQL = connection.vendor == "postgresql"
CLIENTS = int(os.environ.get("CREDIT_CLIENTS", 12 if ON_POSTGRESQL else 4))
OFFERS = int(os.environ.get("CREDIT_OFFERS", 500 if ON_POSTGRESQL else 100))
LIMIT = OFFERS // 5
AMERICAN = "+12125550100"


@pytest.fixture(autouse=True)
def prices() -> None:
    import_prices(["49,0.05", "1,0.01"], None, "EUR", None)


def send_one(account: Account, numbers: list[str], message: str = "Hello", mode: Mode = Mode.LIVE) -> Sent:
    user = account.users.first() or MembershipFactory(account=account).user
    return send(account, user, CampaignRequest(kind=CampaignKind.SINGLE, message=message, mode=mode), numbers)


def tell(status: S, source: FactSource = FactSource.PUSH, numbers=None) -> None:
    numbers = numbers or Message.objects.order_by("id").values_list("id", flat=True)
    settlement.apply([Fact(number, status, source, report=Report("", status)) for number in numbers])


# --- reserved ---------------------------------------------------------------------------------------------


def test_a_single_send_reserves_exactly_what_it_costs():
    account = metered(26)
    send_one(account, [*phones(2), AMERICAN], "x" * 161)  # two segments each: 2 x 2 x 5 + 2 x 1
    assert books(account) == (4, 22, 0)
    with pytest.raises(InsufficientCredit):
        send_one(account, phones(1, 10))
    assert books(account) == (4, 22, 0)
    assert (Campaign.objects.count(), Message.objects.count()) == (1, 3)


def test_messages_are_answered_in_the_order_of_the_request_whatever_they_cost():
    account = metered(100)
    numbers = [phones(1)[0], AMERICAN, phones(2)[1]]
    with CaptureQueriesContext(connection) as queries:
        answered = send_one(account, numbers).messages
    assert [message.phone_number for message in answered] == numbers
    known = ("pk", "row", "phone_number", "status", "segment_count")
    stored = Message.objects.order_by("row").values_list(*known)
    assert [attrgetter(*known)(message) for message in answered] == list(stored)
    assert Batch.objects.count() == 2
    assert sorted(Batch.objects.values_list("price_micro", "size")) == [(CENT, 1), (5 * CENT, 2)]
    assert not any('FROM "messaging_message"' in query["sql"] for query in queries)


def test_a_number_without_a_price_is_refused():
    account = metered(100)
    with pytest.raises(DestinationBlocked) as refused:
        send_one(account, [phones(1)[0], "+33612345678"])
    assert refused.value.http_status == 403
    assert refused.value.details["value"] == "+3361"
    assert books(account) == (100, 0, 0)
    assert Campaign.objects.count() == 0


def test_what_cannot_be_rendered_costs_nothing():
    account = metered(10)
    audience = make_audience(account, 3, ("name",), [["Ann"], [""], ["Bob"]])
    make_campaign(account, audience=audience, message="Hi {name}")
    assert books(account) == (0, 10, 0)
    expand_ready()
    assert books(account) == (0, 10, 0)


def test_test_mode_and_accounts_without_metering_pay_nothing_and_count_nothing():
    account = metered(0, daily_message_limit=1)
    send_one(account, phones(5), mode=Mode.TEST)
    free = AccountFactory()
    send_one(free, ["+33612345678"])
    tell(S.DELIVERED)
    billing.settle()
    assert books(account) == books(free) == (0, 0, 0)
    assert not DailyUse.objects.exists()
    assert set(Campaign.objects.values_list("prices", flat=True)) == {None}


def test_later_prices_change_nothing_of_what_was_accepted():
    account = metered(10)
    campaign = make_campaign(account, 2)
    import_prices(["49,0.50"], None, "EUR", None)
    expand_ready()
    tell(S.DELIVERED)
    settle(campaign)
    assert books(account) == (0, 0, 10)


def test_of_several_prices_each_message_costs_its_own(settings):
    settings.CHUNK_SIZE = 4
    account = metered(1000)
    numbers = [(place, phone) for place, phone in enumerate([*phones(5), AMERICAN, "+12125550101"], 1)]
    campaign = make_campaign(account, audience=audience_from_numbers(account, numbers))
    assert books(account) == (973, 27, 0)
    expand_ready()
    tell(S.SENT, numbers=[Message.objects.get(phone_number=AMERICAN).pk])
    billing.settle()
    assert books(account) == (973, 26, 1)
    tell(S.DELIVERED)
    settle(campaign)
    assert books(account) == (973, 0, 27)


def test_what_was_reckoned_too_low_is_reserved_when_it_is_known(settings):
    """The first chunk's texts have one segment, those of the second two."""
    settings.CHUNK_SIZE = 2
    account = metered(100)
    values = [["a"], ["b"], ["x" * 170], ["y" * 170]]
    campaign = make_campaign(account, audience=make_audience(account, 4, ("text",), values), message="{text}")
    assert books(account) == (80, 20, 0)
    expand_ready()
    assert books(account) == (70, 30, 0)
    tell(S.DELIVERED)
    settle(campaign)
    assert books(account) == (70, 0, 30)


def test_what_was_reckoned_too_high_is_given_back_when_it_is_known(settings):
    settings.CHUNK_SIZE = 2
    account = metered(100)
    values = [["x" * 170], ["y" * 170], ["a"], ["b"]]
    make_campaign(account, audience=make_audience(account, 4, ("text",), values), message="{text}")
    assert books(account) == (60, 40, 0)
    expand_ready()
    assert books(account) == (70, 30, 0)


def test_a_campaign_that_costs_more_than_there_is_pauses_and_goes_on_after_a_top_up(settings):
    settings.CHUNK_SIZE = 2
    account = metered(25)
    values = [["a"], ["b"], ["x" * 170], ["y" * 170]]
    campaign = make_campaign(account, audience=make_audience(account, 4, ("text",), values), message="{text}")
    expand_ready()
    campaign.refresh_from_db()
    assert (campaign.status, campaign.pause_reason) == (CampaignStatus.PAUSED, PauseReason.NO_CREDIT)
    assert (Message.objects.count(), campaign.chunks_done) == (2, 1)
    assert books(account) == (5, 20, 0)
    credit.top_up(account, 5 * CENT, "more", None)
    campaign_services.resume(campaign, campaign.user)
    expand_ready()
    assert Message.objects.count() == 4
    assert books(account) == (0, 30, 0)


def test_prices_within_a_countrys_numbers_are_reserved_at_the_highest_and_settled_as_they_are(settings):
    settings.CHUNK_SIZE = 2
    import_prices(["4915112000000,0.09"], None, "EUR", None)
    account = metered(100)
    make_campaign(account, 4)
    assert books(account) == (64, 36, 0)
    expand_ready()
    assert books(account) == (76, 24, 0)


def test_an_audience_of_before_prefixes_were_counted_is_counted_then(settings):
    settings.CHUNK_SIZE = 2
    account = metered(100)
    audience = make_audience(account, 4)
    audience.chunks.update(prefix_counts={})
    make_campaign(account, audience=audience)
    assert books(account) == (80, 20, 0)


def test_a_resend_waits_for_its_credit_and_says_so(monkeypatch):
    account = metered(15)
    campaign = make_campaign(account, 3)
    expand_ready()
    tell(S.UNDELIVERED)
    settle(campaign)
    with pytest.raises(InsufficientCredit):
        resending.resend_failed(campaign, campaign.user)
    assert Campaign.objects.count() == 1
    monkeypatch.setattr(resending, "AT_ONCE", 0)
    resend = resending.resend_failed(campaign, campaign.user)
    resending.fill_resends()
    resend.refresh_from_db()
    assert (resend.status, resend.status_detail) == (CampaignStatus.DRAFT, "There is not enough credit for this.")
    credit.top_up(account, 15 * CENT, "more", None)
    resending.fill_resends()
    resend.refresh_from_db()
    assert resend.status == CampaignStatus.RUNNING
    assert books(account) == (0, 15, 15)


def test_a_campaign_taken_back_returns_its_credit_and_its_count(settings):
    account = metered(100, daily_message_limit=10)
    campaign = make_campaign(account, 10, scheduled_at=timezone.now() + timedelta(hours=1))
    assert books(account) == (50, 50, 0)
    campaign = campaign_services.withdraw(campaign, campaign.user)
    assert books(account) == (100, 0, 0)
    assert DailyUse.objects.get().message_count == 0
    campaign_services.launch(campaign, campaign.user)
    assert books(account) == (50, 50, 0)


def test_a_campaign_that_waits_for_approval_reserves_nothing_until_then():
    account = metered(100, approval_above=1)
    campaign = make_campaign(account, 10)
    assert books(account) == (100, 0, 0)
    second = MembershipFactory(account=account, role="admin").user
    campaign = campaign_services.approve(campaign, second)
    assert books(account) == (50, 50, 0)


# --- charged ----------------------------------------------------------------------------------------------


def test_only_what_a_provider_took_is_charged_and_the_rest_comes_back(simulator):
    account = metered(100)
    campaign = make_campaign(account, 6)
    expand_ready()
    numbers = list(Message.objects.order_by("id").values_list("id", flat=True))
    for number, status in zip(numbers, (S.DELIVERED, S.UNDELIVERED, S.REJECTED, S.SENT), strict=False):
        tell(status, numbers=[number])
    for number, status in zip(numbers[4:], (S.FAILED, S.SUPPRESSED), strict=True):
        settlement.control([number], status, Reason.OPTED_OUT)
    billing.settle()
    assert books(account) == (70, 15, 15)
    tell(S.UNCONFIRMED, FactSource.DEADLINE, [numbers[3]])
    settle(campaign)
    assert campaign.closed_at is not None
    assert books(account) == (90, 0, 10)
    tell(S.DELIVERED, numbers=[numbers[3]])
    billing.settle_closed()
    assert books(account) == (85, 0, 15)


def test_what_was_sent_while_nothing_is_left_is_charged_below_zero():
    account = metered(5)
    campaign = make_campaign(account, 1)
    expand_ready()
    tell(S.SENT)
    tell(S.UNCONFIRMED, FactSource.DEADLINE)
    settle(campaign)
    assert books(account) == (5, 0, 0)
    credit.correct(account, -5 * CENT, "paid out", None)
    tell(S.DELIVERED)
    billing.settle_closed()
    assert books(account) == (-5, 0, 5)


def test_a_cancelled_campaign_pays_for_what_was_sent(simulator):
    account = metered(100)
    campaign = make_campaign(account, 3)
    expand_ready()
    tell(S.DELIVERED, numbers=[Message.objects.first().pk])
    campaign_services.cancel(campaign, campaign.user)
    sweeps.sweep()
    sweeps.sweep()
    billing.settle_closed()
    assert books(account) == (95, 0, 5)


def test_nothing_is_posted_twice_or_before_it_is_closed():
    account = metered(100)
    campaign = make_campaign(account, 4)
    expand_ready()
    tell(S.SENT)
    assert billing.settle_closed() == 0
    assert (billing.settle(), billing.settle(), billing.settle()) == (1, 0, 0)
    assert LedgerEntry.objects.filter(kind=LedgerKind.CHARGE).count() == 1
    tell(S.DELIVERED)
    settle(campaign)
    assert LedgerEntry.objects.filter(kind=LedgerKind.CHARGE).count() == 1
    entry = LedgerEntry.objects.get(kind=LedgerKind.CHARGE)
    assert (entry.campaign_id, entry.note, entry.amount_micro) == (campaign.pk, "4 segments", -20 * CENT)


def test_each_single_send_has_an_entry_however_many_are_posted_at_once():
    account = metered(100)
    sends = [send_one(account, [number]).campaign.pk for number in phones(5)]
    tell(S.DELIVERED)
    billing.settle()
    entries = LedgerEntry.objects.filter(kind=LedgerKind.CHARGE).order_by("pk")
    assert list(entries.values_list("note", "campaign_id", "amount_micro", "balance_micro")) == [
        ("1 segment", pk, -5 * CENT, (95 - 5 * place) * CENT) for place, pk in enumerate(sends)
    ]
    billing.settle_closed()
    assert books(account) == (75, 0, 25)


def test_what_an_operator_gives_back_of_a_charge_leaves_the_books_in_agreement():
    account = metered(100)
    send_one(account, phones(1))
    tell(S.DELIVERED)
    billing.settle()
    credit.refund(LedgerEntry.objects.get(kind=LedgerKind.CHARGE), 5 * CENT, "late", None)
    assert list(billing.disagreements()) == []


def test_what_is_sent_through_the_pipeline_is_what_is_paid(simulator, settings):
    """L7: the segments of the simulator's ledger, at their prices."""
    settings.CHUNK_SIZE, settings.BATCH_SIZE = 20, 7
    simulator.set_faults(refuse_repeated=0, accept_reset=0.1, reset_before=0.1, omit_ids=0.05)
    account = metered(1000)
    for count in (31, 12):
        make_campaign(account, count, message="x" * 161)
    eventually(lambda: not Campaign.objects.filter(closed_at=None).exists(), run_dry, 40)
    billing.settle_closed()
    assert books(account) == (1000 - 430, 0, 430)
    assert simulator.ledger()["segments"] == 86


# --- at once ----------------------------------------------------------------------------------------------


def offer(account: Account) -> int:
    """OFFERS single sends from CLIENTS threads; how many were accepted."""
    user = MembershipFactory(account=account).user
    request = CampaignRequest(kind=CampaignKind.SINGLE, message="Hello")
    numbers = phones(OFFERS)
    accepted: list[str] = []

    def client(place: int) -> None:
        for number in numbers[place::CLIENTS]:
            try:
                patiently(partial(send, account, user, request, [number]))
                accepted.append(number)
            except (InsufficientCredit, QuotaExceeded):
                pass

    run_together(*(lambda place=place: client(place) for place in range(CLIENTS)))
    assert len(set(accepted)) == len(accepted)
    return len(accepted)


@pytest.mark.django_db(transaction=True)
def test_credit_for_so_many_messages_sends_exactly_so_many():
    account = metered(5 * LIMIT + 4)
    assert offer(account) == LIMIT
    assert Message.objects.count() == Campaign.objects.count() == LIMIT
    assert books(account) == (4, 5 * LIMIT, 0)


@pytest.mark.django_db(transaction=True)
def test_a_daily_limit_of_so_many_messages_accepts_exactly_so_many():
    account = AccountFactory(daily_message_limit=LIMIT)
    assert offer(account) == LIMIT
    assert Message.objects.count() == DailyUse.objects.get().message_count == LIMIT


@pytest.mark.django_db(transaction=True)
def test_charging_beside_sending_and_settling_keeps_the_books():
    account = metered(100_000)
    campaigns = [make_campaign(account, 40) for _ in range(3)]
    for number in phones(20, 500):
        send_one(account, [number])
    expand_ready()
    numbers = list(Message.objects.values_list("id", flat=True))

    def write(status: S, source: FactSource, step: int) -> None:
        for start in range(0, len(numbers), step):
            patiently(partial(tell, status, source, numbers[start : start + step]))

    def post() -> None:
        for _ in range(10):
            patiently(billing.settle)
            patiently(billing.settle_closed)

    run_together(
        lambda: write(S.SENT, FactSource.ANSWER, 7),
        lambda: write(S.UNCONFIRMED, FactSource.DEADLINE, 11),
        lambda: write(S.DELIVERED, FactSource.PUSH, 13),
        post,
        post,
        lambda: patiently(partial(make_campaign, account, 5)),
    )
    tell(S.DELIVERED, numbers=numbers)
    for campaign in campaigns:
        settle(campaign)
    billing.settle_closed()
    assert books(account) == (100_000 - 725, 25, 700)


# --- what it costs us -------------------------------------------------------------------------------------


def queries_of(account: Account, count: int) -> list[str]:
    send_one(account, phones(1))
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        send_one(account, phones(count, 100))
    return [query["sql"] for query in queries]


def test_an_account_without_metering_asks_nothing_and_a_metered_one_little():
    free = queries_of(AccountFactory(), 3)
    money = (LedgerEntry, DailyUse, Price)
    assert [sql for sql in free if any(model._meta.db_table in sql for model in money)] == []
    assert [sql for sql in free if f'UPDATE "{Account._meta.db_table}"' in sql or "balance_micro = " in sql] == []
    assert len(queries_of(metered(1000), 3)) - len(free) == 3  # its recipients, its prices, its balance
    assert len(queries_of(metered(1000), 60)) == len(queries_of(metered(1000), 3))
    assert len(queries_of(AccountFactory(daily_message_limit=100), 3)) - len(free) == 1


def test_settlement_asks_no_more_of_a_metered_account():
    counts = []
    for account in (AccountFactory(), metered(1000)):
        campaign = send_one(account, phones(3)).campaign
        numbers = list(Message.objects.filter(campaign=campaign).values_list("id", flat=True))
        with CaptureQueriesContext(connection) as queries:
            settlement.apply([], accepted=numbers)
        with CaptureQueriesContext(connection) as more:
            tell(S.DELIVERED, numbers=numbers)
        counts.append((len(queries), len(more)))
    assert counts[0] == counts[1]


# --- many at once -----------------------------------------------------------------------------------------


def owing(count: int) -> Account:
    """An account with so many single sends that were delivered and not charged."""
    account = metered(5 * count)
    for number in phones(count):
        send_one(account, [number])
    tell(S.DELIVERED, numbers=list(Message.objects.filter(campaign__account=account).values_list("id", flat=True)))
    return account


def charged(account: Account) -> int:
    return Batch.objects.filter(account=account, charged_segments__gt=0).count()


class EndsAfter:
    def __init__(self, answers) -> None:
        self._answers = answers

    @property
    def is_over(self) -> bool:
        return next(self._answers, True)


def ends_after(transactions: int, monkeypatch) -> None:
    """The time of the next round is over after so many."""
    answers = iter([False] * transactions)
    monkeypatch.setattr(billing, "Budget", lambda seconds: EndsAfter(answers))


def test_accounts_are_settled_in_turn_and_none_waits_for_all_of_another(monkeypatch):
    """The time is over after three transactions."""
    monkeypatch.setattr(billing, "BATCHES_AT_ONCE", 2)
    monkeypatch.setattr(billing._round, "last_account", 0)
    first, second = owing(7), owing(3)
    ends_after(3, monkeypatch)
    woken: list[str] = []
    monkeypatch.setattr(billing, "enqueue", lambda task, after: woken.append(task))
    billing.settle_closed()
    assert (charged(first), charged(second)) == (4, 2)
    assert woken == ["messaging.settle_closed"]


def test_the_next_round_begins_behind_the_last_account(monkeypatch):
    monkeypatch.setattr(billing, "BATCHES_AT_ONCE", 2)
    monkeypatch.setattr(billing._round, "last_account", 0)
    first, second = owing(5), owing(5)
    for expected in ((2, 0), (2, 2), (4, 2)):
        ends_after(1, monkeypatch)
        billing.settle()
        assert (charged(first), charged(second)) == expected


@pytest.mark.parametrize("settle_all", [billing.settle, billing.settle_closed])
def test_slices_leave_nothing_and_charge_nothing_twice(settle_all, monkeypatch):
    monkeypatch.setattr(billing, "BATCHES_AT_ONCE", 3)
    first, second = owing(10), owing(4)
    settle_all()
    settle_all()
    assert books(first) == (0, 0, 50)
    assert books(second) == (0, 0, 20)
    assert sum(LedgerEntry.objects.filter(kind=LedgerKind.CHARGE).values_list("amount_micro", flat=True)) == -70 * CENT


def test_a_kill_within_a_slice_charges_nothing(monkeypatch):
    account = owing(5)

    def die(*args, **options):
        raise KeyboardInterrupt

    for name in ("charge_campaigns", "post"):
        with monkeypatch.context() as dying:
            dying.setattr(billing.counters if name == "charge_campaigns" else billing.credit, name, die)
            with pytest.raises(KeyboardInterrupt):
                billing.settle_closed()
        assert books(account) == (0, 25, 0)
    billing.settle_closed()
    assert books(account) == (0, 0, 25)


def test_many_single_sends_are_charged_in_as_many_statements_as_few():
    counts = []
    for count in (3, 30):
        owing(count)
        with CaptureQueriesContext(connection) as queries:
            billing.settle_closed()
        updates = len([query for query in queries if query["sql"].startswith(f"UPDATE {Campaign._meta.db_table}")])
        counts.append(len(queries) - (updates if not ON_POSTGRESQL else 0))
    assert counts[0] == counts[1]


def test_single_sends_are_charged_before_they_are_closed_and_bulk_campaigns_when_they_are(monkeypatch):
    monkeypatch.setattr(billing, "BATCHES_AT_ONCE", 1)
    account = metered(100)
    make_campaign(account, 2)
    expand_ready()
    send_one(account, phones(1, 50))
    tell(S.SENT)
    billing.settle_closed()
    assert books(account) == (85, 10, 5)
    billing.settle()
    assert books(account) == (85, 0, 15)
