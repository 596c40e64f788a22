"""What an account may not do: countries, the same number too often, numbers in a row, too much money; look-alikes."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts import suspension
from accounts.billing.credit import MICRO, top_up
from accounts.models import Account, DailyUse, Price, ReservedName
from accounts.senders import RESERVED, request_sender, require_not_reserved
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.validation import CampaignRequest
from messaging.choices import AttemptState, FactSource, Lane, MessageStatus
from messaging.gateways import registry
from messaging.gateways.base import NotSent
from messaging.models import Attempt, Message
from messaging.outcomes import settlement
from messaging.outcomes.settlement import Fact
from messaging.routing import sender_rates
from messaging.sending import dispatch, expansion, leases, record, restrictions, submit
from messaging.services import send
from messaging.storage.message_rows import QueuedMessage
from smsapp.core import clock
from smsapp.core.exceptions import (
    AccountSuspended,
    DestinationBlocked,
    RecipientLimitReached,
    SenderNotAllowed,
    SpendLimitReached,
)
from smsapp.lib.lookalike import looks_like
from tests.support.factories import MembershipFactory, SenderIdFactory, make_campaign, phones
from tests.support.pipeline.steps import opened_of
from uploads.audiences import audience_from_numbers

pytestmark = pytest.mark.django_db
GERMAN, BRITISH, AUSTRIAN, CANADIAN, AMERICAN = (
    "+4915112345678", "+447911123456", "+436641234567", "+14165550123", "+12125550123"
)  # fmt: skip


def single(membership: Any, *numbers: str) -> Any:
    request = CampaignRequest(kind=CampaignKind.SINGLE, message="Your code is 1234.")
    return send(membership.account, membership.user, request, numbers)


# --- countries -------------------------------------------------------------------------------------------------------


def test_countries_an_account_may_send_to_also_where_they_share_a_calling_code() -> None:
    membership = MembershipFactory(account__allowed_countries="DE AT US")
    single(membership, GERMAN, AUSTRIAN)
    with pytest.raises(DestinationBlocked) as refused:
        single(membership, GERMAN, BRITISH)
    assert refused.value.details["field"] == "phone_numbers[1]"
    assert restrictions.blocked_among(membership.account, [CANADIAN, AMERICAN]) == {CANADIAN}


def test_of_a_file_only_the_numbers_of_other_countries_fail() -> None:
    membership = MembershipFactory(account__allowed_countries="DE")
    audience = audience_from_numbers(membership.account, [(1, GERMAN), (2, BRITISH)])
    campaign = make_campaign(membership.account, audience=audience)
    expansion.expand_ready()
    campaign.refresh_from_db()
    assert (campaign.queued, campaign.failed) == (1, 1)
    assert Message.objects.get(phone_number=BRITISH).reason == "country_blocked"


# --- how often -------------------------------------------------------------------------------------------------------


def test_a_number_gets_so_many_an_hour_and_a_day_whatever_campaign_they_are_of(simulator: Any) -> None:
    membership = MembershipFactory(account__recipient_hourly_limit=2, account__recipient_daily_limit=3)
    for _ in range(2):
        single(membership, GERMAN)
        dispatch.dispatch_ready(Lane.SINGLES)
    with pytest.raises(RecipientLimitReached):
        single(membership, GERMAN)
    campaign = make_campaign(
        membership.account, audience=audience_from_numbers(membership.account, [(1, GERMAN), (2, AUSTRIAN)])
    )
    expansion.expand_ready()
    dispatch.dispatch_ready(Lane.CAMPAIGNS)
    campaign.refresh_from_db()
    assert (campaign.sent, campaign.suppressed) == (1, 1)
    assert Message.objects.get(campaign=campaign, phone_number=GERMAN).reason == "too_often"
    Message.objects.filter(phone_number=GERMAN).update(sent_at=clock.now() - timedelta(hours=2))
    single(membership, GERMAN)
    dispatch.dispatch_ready(Lane.SINGLES)
    with pytest.raises(RecipientLimitReached):
        single(membership, GERMAN)
    other = MembershipFactory()
    single(other, GERMAN)


def wait_for(count: int, membership: Any) -> None:
    """So many single sends to one number, all of them accepted before the first leaves."""
    for _ in range(count):
        single(membership, GERMAN)


def test_a_message_whose_outcome_is_unknown_counts_as_one_that_left(simulator: Any, settings: Any) -> None:
    """The provider took each call and lost the answer."""
    settings.SIMULATOR_UNKNOWN_GRACE, settings.SIMULATOR_RESEND_UNKNOWN_AFTER = 3600.0, None
    registry.reset()
    simulator.set_faults(accept_reset=1.0)
    membership = MembershipFactory(account__recipient_hourly_limit=1)
    wait_for(3, membership)
    for _ in range(3):
        dispatch.dispatch_ready(Lane.SINGLES, 1)
    assert len(simulator.accepted_ids()) == 1
    assert sorted(Message.objects.values_list("status", "reason")) == [
        (MessageStatus.UNKNOWN, "answer_lost"),
        *[(MessageStatus.SUPPRESSED, "too_often")] * 2,
    ]
    with pytest.raises(RecipientLimitReached):
        single(membership, GERMAN)
    settlement.apply([Fact(Message.objects.order_by("pk")[0].pk, MessageStatus.UNCONFIRMED, FactSource.DEADLINE)])
    Attempt.objects.update(state=AttemptState.RESOLVED)
    assert restrictions.too_often_among(membership.account, [GERMAN]) == {GERMAN}
    Attempt.objects.update(started_at=clock.now() - timedelta(hours=2))
    assert restrictions.too_often_among(membership.account, [GERMAN]) == set()
    Account.objects.update(recipient_daily_limit=1)
    membership.account.refresh_from_db()
    assert restrictions.too_often_among(membership.account, [GERMAN]) == {GERMAN}


def test_a_message_that_is_in_a_call_counts_as_one_that_left(simulator: Any) -> None:
    membership = MembershipFactory(account__recipient_hourly_limit=1)
    wait_for(2, membership)
    first, second = leases.lease(Lane.SINGLES, 2)
    call = opened_of(first)
    assert call is not None
    assert opened_of(second) is None
    with pytest.raises(RecipientLimitReached):
        single(membership, GERMAN)
    record.record(submit.Result(call, error=NotSent("not connected")))
    single(membership, GERMAN)


def test_a_call_carries_no_more_for_a_number_than_there_is_room_for(simulator: Any) -> None:
    membership = MembershipFactory(account__recipient_daily_limit=3)
    wait_for(1, membership)
    dispatch.dispatch_ready(Lane.SINGLES)
    rows = {1: [QueuedMessage(1024 + n, GERMAN, "") for n in range(3)], 2: [QueuedMessage(2048, AUSTRIAN, "")]}
    assert restrictions.over_limit(membership.account, rows, clock.now()) == [1026]


def test_an_account_without_limits_asks_nothing(django_assert_num_queries: Any) -> None:
    now = clock.now()
    with django_assert_num_queries(0):
        assert restrictions.over_limit(Account(), {1: [QueuedMessage(1, GERMAN, "")]}, now) == []


# --- numbers in a row ------------------------------------------------------------------------------------------------


def test_an_attack_of_numbers_in_a_row_is_held_after_a_few(redis_client: Any) -> None:
    membership = MembershipFactory(account__guards_numbers=True)
    sent = 0
    for phone in phones(10_000)[:60]:
        try:
            single(membership, phone)
            sent += 1
        except AccountSuspended:
            break
    assert sent <= restrictions.BLOCK_LIMIT
    assert suspension.apply_alarms() == 1
    account = Account.objects.get(pk=membership.account.pk)
    assert (account.is_active, account.hold_reason) == (False, restrictions.CONSECUTIVE)
    assert suspension.apply_alarms() == 0


def test_a_file_of_numbers_in_a_row_is_stopped_and_an_honest_one_is_not(redis_client: Any) -> None:
    membership = MembershipFactory(account__guards_numbers=True)
    audience = audience_from_numbers(membership.account, list(enumerate(phones(300), 1)))
    campaign = make_campaign(membership.account, audience=audience)
    expansion.expand_ready()
    campaign.refresh_from_db()
    assert (campaign.status, campaign.status_detail) == (CampaignStatus.PAUSED, restrictions.CONSECUTIVE)
    assert not Message.objects.exists()
    honest = [f"+49151{(n * 7_919_993) % 100_000_000:08d}" for n in range(5000)]
    assert not restrictions.is_in_row(honest)
    assert not restrictions.is_in_row(phones(100)), "too few to say anything"


def test_who_is_not_guarded_is_not_watched(redis_client: Any) -> None:
    membership = MembershipFactory()
    for phone in phones(30):
        single(membership, phone)
    assert suspension.apply_alarms() == 0


# --- money -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def payer() -> Any:
    membership = MembershipFactory(account__is_metered=True, account__daily_spend_limit_micro=10 * 50_000)
    Price.objects.create(account=membership.account, prefix="49", price_micro=50_000, currency="EUR")
    top_up(membership.account, 100 * MICRO, "test", membership.user)
    return membership


def test_what_an_account_may_spend_in_a_day(payer: Any, redis_client: Any) -> None:
    for phone in phones(10):
        single(payer, phone)
    assert DailyUse.objects.get().spent_micro == 10 * 50_000
    with pytest.raises(SpendLimitReached) as refused:
        single(payer, GERMAN)
    assert refused.value.details == {"limit": "0.500000", "needed": "0.050000", "currency": "EUR"}
    assert suspension.apply_alarms() == 1
    account = Account.objects.get(pk=payer.account.pk)
    assert not account.is_active
    assert "limit of 0.500000 EUR a day" in account.hold_reason


def test_a_campaign_that_costs_more_than_one_person_may_spend_waits_for_another(payer: Any) -> None:
    Account.objects.filter(pk=payer.account.pk).update(approval_above_micro=4 * 50_000)
    payer.account.refresh_from_db()
    cheap = make_campaign(payer.account, audience=audience_from_numbers(payer.account, list(enumerate(phones(4), 1))))
    assert cheap.status == CampaignStatus.RUNNING
    dear = make_campaign(payer.account, audience=audience_from_numbers(payer.account, list(enumerate(phones(5), 1))))
    assert dear.status == CampaignStatus.AWAITING_APPROVAL


def test_an_operator_may_be_the_second_person(admin_client: Client) -> None:
    membership = MembershipFactory(account__approval_above=2)
    campaign = make_campaign(membership.account, count=3)
    assert campaign.status == CampaignStatus.AWAITING_APPROVAL
    page = "/admin/campaigns/campaign/"
    chosen = {"action": "approve", "_selected_action": [campaign.pk], "confirmed": "1"}
    assert admin_client.post(page, chosen, follow=True).status_code == 200
    campaign.refresh_from_db()
    assert (campaign.status, campaign.approved_by and campaign.approved_by.username) == (
        CampaignStatus.RUNNING,
        "admin",
    )


# --- pace ------------------------------------------------------------------------------------------------------------


def test_an_account_and_a_sender_keep_to_their_own_pace(simulator: Any) -> None:
    membership = MembershipFactory(account__rate=2.0)
    SenderIdFactory(account=membership.account, value="SLOW", rate=1.0)
    sender_rates.forget()
    campaign = make_campaign(membership.account, count=50, sender_id="SLOW")
    assert sorted(own.rate for own in sender_rates.own_rates(campaign)) == [1.0, 2.0]
    expansion.expand_ready()
    dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=0.5)
    campaign.refresh_from_db()
    assert campaign.sent <= 3
    assert campaign.queued >= 47
    quick = make_campaign(MembershipFactory().account, count=50)
    expansion.expand_ready()
    dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=2)
    quick.refresh_from_db()
    assert quick.sent == 50, "nobody else waits"


# --- senders ---------------------------------------------------------------------------------------------------------

LOOK_ALIKES = [
    "PayPal", "paypal", "PAYPAL", "PayPaI", "Paypa1", "P4YPAL", "Pay Pal", "PayPaI Inc", "PayPall", "PayPa", "PaypaIl",
    "Amaz0n", "AMAZON", "Amazom", "Amazon DE", "Arnazon", "Amzaon", "App1e", "AppIe", "APPLE ID", "G00gle", "GoogIe",
    "Goog1e", "Micros0ft", "Micr0soft", "Netf1ix", "NETFLlX", "Netfliix", "WhatsAp", "Whatsapp", "DHL", "DH1", "dhI",
    "FedEx", "Fed Ex", "FedEx UK", "V1sa", "VISA", "HSBC", "H5BC", "HSBC UK", "Barclays", "BarcIays", "Barc1ays",
    "HMRC", "N H S", "G0VUK", "GOV UK", "Sparka55e", "Sparkassse", "PoIizei",
]  # fmt: skip


def test_names_that_look_like_reserved_ones_are_refused() -> None:
    assert len(LOOK_ALIKES) >= 50
    passed = [name for name in LOOK_ALIKES if not any(looks_like(name, reserved) for reserved in RESERVED)]
    assert passed == []


@pytest.mark.parametrize(
    "name", ["DemoShop", "Dr Smith", "PizzaHouse", "Bookstore", "Vista", "Upside", "Paolo", "Gym Nord", "Amara", "INFO"]
)
def test_honest_names_are_not(name: str) -> None:
    require_not_reserved(name)


def test_a_customer_cannot_ask_for_one_and_an_operator_may_add_it(admin_client: Client) -> None:
    membership = MembershipFactory()
    ReservedName.objects.create(name="Stadtwerke")
    for name in ("StadtwerkE", "5tadtwerke", "PayPaI"):
        with pytest.raises(SenderNotAllowed):
            request_sender(membership.account, name, membership.user)
    admin_client.post("/admin/accounts/senderid/add/", {"account": membership.account.pk, "value": "PayPal"})
    assert membership.account.sender_ids.get().value == "PayPal"
