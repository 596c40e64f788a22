"""Rows that stand in the middle of something: queued, called about, sent."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.access.api_keys import Issuer
from accounts.choices import Mode, Scope
from accounts.models import Account
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from messaging.choices import AttemptState, BatchState, GatewayKind, Lane, MessageStatus
from messaging.gateways import registry
from messaging.ids import make_message_pk
from messaging.models import Attempt, Batch, Gateway, Message
from messaging.sending import dispatch, fair_queue
from messaging.sending.expansion import expand_ready
from smsapp.core import clock
from tests.support.factories import AccountFactory, MembershipFactory, SenderIdFactory, in_use, make_campaign, phones


def issuer_for(membership=None, mode=Mode.LIVE, scopes=frozenset(Scope)):
    membership = membership or MembershipFactory()
    return Issuer(membership.account, membership.user, mode, frozenset(scopes))


def make_batch(campaign: Campaign, statuses: list[MessageStatus], part: int = 0, **options: Any) -> Batch:
    """A batch with a message of each given status, its tally in agreement."""
    tally = {status.label: statuses.count(status) for status in set(statuses)}
    batch = Batch.objects.create(
        account=campaign.account,
        campaign=campaign,
        chunk=0,
        part=part,
        mode=campaign.mode,
        lane=Lane.CAMPAIGNS,
        turn=part,
        size=len(statuses),
        **{"state": BatchState.READY} | tally | options,
    )
    Message.objects.bulk_create(
        Message(
            id=make_message_pk(batch.pk, n),
            campaign=campaign,
            row=n + 1,
            phone_number=phone,
            status=status,
            segment_count=1,
        )
        for n, (status, phone) in enumerate(zip(statuses, phones(len(statuses), part * 1000), strict=True))
    )
    return batch


def make_attempt(batch: Batch, state: AttemptState, count: int, **options: Any) -> Attempt:
    now = timezone.now()
    defaults = {
        "gateway": "simulator",
        "reference": f"call-{batch.pk}-{Attempt.objects.count()}",
        "epoch": 1,
        "first": make_message_pk(batch.pk, 0),
        "last": make_message_pk(batch.pk, count - 1),
        "message_count": count,
        "started_at": now,
        "deadline": now + timedelta(seconds=15),
    }
    return Attempt.objects.create(batch=batch, state=state, **defaults | options)


ACCOUNT, TOKEN = "AC" + "2" * 32, "simulator"


def make_twilio(url: str, name: str = "twilio") -> Gateway:
    row = Gateway(name=name, kind=GatewayKind.TWILIO, base_url=url, **in_use())
    row.secrets = {"account_sid": ACCOUNT, "auth_token": TOKEN}
    row.save()
    return row


def sent_campaign(count: int = 5, **options: Any) -> Any:
    account = AccountFactory()
    SenderIdFactory(account=account)
    campaign = make_campaign(account, count=count, sender_id="DemoShop", **options)
    expand_ready()
    dispatch.dispatch_ready(Lane.CAMPAIGNS)
    campaign.refresh_from_db()
    return campaign


def make_single(account: Account | None = None, **options: Any) -> Campaign:
    return make_campaign(account, count=1, kind=CampaignKind.SINGLE, **options)


def queue_up(count: int, account: Account | None = None, **options: Any) -> list[int]:
    """A running campaign with that many batches, without messages; what is under test is their order."""
    campaign = make_campaign(account, count=1, **options)
    first = fair_queue.next_turn(campaign.account_id, Lane.CAMPAIGNS)
    Campaign.objects.filter(pk=campaign.pk).update(chunks_done=1, queued=count)
    batches = [
        Batch(
            account_id=campaign.account_id,
            campaign=campaign,
            chunk=0,
            part=part,
            mode=campaign.mode,
            size=1,
            queued=1,
            lane=Lane.CAMPAIGNS,
            turn=first + part,
            next_attempt_at=clock.now(),
            gateway=registry.SIMULATOR,
        )
        for part in range(count)
    ]
    return [batch.pk for batch in Batch.objects.bulk_create(batches)]
