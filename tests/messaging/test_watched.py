"""A recurring campaign with quiet hours and first recipients, watched through two of its moments on a clock of its own:
at each time everything is done that beat would have woken."""

from collections import defaultdict
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from campaigns.choices import CampaignKind, CampaignStatus, CanaryState
from campaigns.models import Campaign, RecurringCampaign
from campaigns.recipients import RecipientSource
from campaigns.scheduling import quiet_hours, recurring
from campaigns.scheduling.rule import Every, Rule
from campaigns.validation import CampaignRequest
from messaging.choices import Lane
from messaging.models import Message
from messaging.outcomes import report_inbox
from messaging.sending import canary, dispatch, expansion
from messaging.upkeep import sweeps
from tests.support import clocks
from tests.support.factories import MembershipFactory
from tests.support.servers.simulators import RunningSimulator
from uploads.contacts import create_list, put_contact

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
GERMANS = [f"+4915112000{n:03d}" for n in range(6)]
AMERICANS = [f"+12125550{n:03d}" for n in range(100, 104)]
STEP = timedelta(minutes=30)
#: Half hours of both days around the moment of the rule, and now and then by night.
MOMENTS = [
    datetime(2027, 1, day, hour, minute, tzinfo=UTC)
    for day in (11, 12)
    for hour, minute in ((2, 0), (7, 0), (11, 0), (11, 30), (12, 0), (12, 30), (13, 0), (13, 30), (16, 0), (22, 0))
]


@pytest.mark.django_db
def test_two_moments_of_a_recurring_campaign(
    simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.REPORT_DEADLINE_HOURS = 120
    now = datetime(2027, 1, 11, 1, tzinfo=UTC)  # a Monday
    monkeypatch.setattr("smsapp.core.clock.now", lambda: now)
    membership = MembershipFactory()
    list_ = create_list(membership.account, membership.user, "Guests")
    for phone in (*GERMANS, *AMERICANS):
        put_contact(list_, membership.user, phone, {})
    with clocks.at(now):
        row = recurring.create_recurring(
            membership.account,
            membership.user,
            CampaignRequest(
                kind=CampaignKind.BULK,
                message="Good morning",
                quiet_from=time(21),
                quiet_until=time(8),
                canary_size=3,
                canary_wait=1800,
            ),
            Rule.at(Every.WEEKDAY, "Europe/Berlin", time(12, 30)),
            RecipientSource(list_id=list_.list_id),
            valid_minutes=240,
        )

    left: dict[datetime, list[str]] = defaultdict(list)
    known: set[int] = set()
    for now in MOMENTS:
        with clocks.at(now):
            quiet_hours.forget()  # it remembers by a clock that does not jump
            recurring.fire_due(now)
            expansion.expand_ready()
            sweeps.sweep()
            dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=1.0)
            report_inbox.poll()
            report_inbox.apply_waiting()
            canary.check_due()
            canary.let_follow()
        for message in Message.objects.exclude(sent_at=None).exclude(pk__in=known):
            known.add(message.pk)
            left[now].append(message.phone_number)

    first, second = (datetime(2027, 1, day, 12, 30, tzinfo=BERLIN) for day in (11, 12))
    campaigns = list(Campaign.objects.order_by("pk"))
    assert [campaign.due_at for campaign in campaigns] == [first, second], "each moment once"
    for due, campaign in zip((first, second), campaigns, strict=True):
        times = {moment: sorted(phones) for moment, phones in left.items() if due <= moment < due + timedelta(days=1)}
        assert (
            times
            == {
                due: GERMANS[:3],  # the first; their reports come in
                due + STEP: GERMANS[3:],  # the others follow
                datetime.combine(due, time(8), NEW_YORK): AMERICANS,  # where it is night still, at eight
            }
        )
        assert (campaign.status, campaign.delivered, campaign.canary_state) == (
            CampaignStatus.COMPLETED,
            10,
            CanaryState.PASSED,
        )
        assert campaign.valid_until == due + timedelta(hours=4)
    assert all(8 <= moment.astimezone(NEW_YORK).hour < 21 for moment, to in left.items() if to == AMERICANS)
    assert sorted(simulator.accepted_ids()) == sorted(message.message_id for message in Message.objects.all())
    assert len(simulator.accepted_ids()) == 20
    watched = RecurringCampaign.objects.get(pk=row.pk)
    assert (watched.run_count, watched.next_run_at) == (2, datetime(2027, 1, 13, 12, 30, tzinfo=BERLIN))
