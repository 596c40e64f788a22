"""What must never be is found, said and shown; what agrees is left alone."""

import uuid

import pytest
from django.urls import reverse

from accounts.models import Setting
from campaigns.models import Campaign
from messaging.choices import AttemptState, BatchState, FactSource, MessageStatus, Reason
from messaging.gateways.base import Report
from messaging.models import Attempt, Batch, Message
from messaging.outcomes import conflicts, rounds, settlement
from messaging.sending.expansion import expand_ready
from messaging.upkeep import consistency
from reports.selectors import attention
from tests.support.factories import make_campaign
from tests.support.pipeline.rounds import send, statuses
from tests.support.pipeline.steps import lose, opened

pytestmark = pytest.mark.django_db
S = MessageStatus


@pytest.fixture
def campaign(simulator) -> Campaign:
    campaign = make_campaign(count=3)
    expand_ready()
    return campaign


def notices(key: str) -> list[int]:
    return [notice.count for notice in attention() if notice.query == f"key={key}"]


def unknown_batch() -> None:
    lose(opened())


def done_with_queued() -> None:
    Batch.objects.update(state=BatchState.DONE)


def unknown_without_call() -> None:
    unknown_batch()
    Attempt.objects.update(state=AttemptState.RESOLVED)


def call_never_looked_up() -> None:
    unknown_batch()
    Attempt.objects.update(next_lookup_at=None)


def open_call_nobody_holds() -> None:
    opened()
    Batch.objects.update(state=BatchState.READY)


def counter_gone_wrong() -> None:
    Campaign.objects.update(queued=1)


def recipients_nowhere() -> None:
    Campaign.objects.update(total_recipients=5)


def rows_gone_wrong() -> None:
    Message.objects.filter(pk=Message.objects.earliest("pk").pk).update(status=S.SENT)


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (done_with_queued, "is done, with 3 messages queued"),
        (unknown_without_call, "no call that would be looked up"),
        (call_never_looked_up, "nobody will settle it"),
        (open_call_nobody_holds, "is open, and nobody will settle it"),
        (counter_gone_wrong, "counts 1 queued, its batches 3"),
        (recipients_nowhere, "2 of its recipients are nowhere"),
        (rows_gone_wrong, "counts 3 queued, and has 2"),
    ],
)
def test_a_contradiction_is_found_logged_and_shown_until_it_is_gone(campaign, caplog, break_it, said):
    assert consistency.check() == 0
    break_it()
    found = consistency.check()
    assert found >= 1
    assert said in caplog.text
    assert notices(conflicts.STATES) == [found]
    assert any(said in words for words in conflicts.OF_STATES.get().last)
    Batch.objects.all().delete()
    Campaign.objects.all().delete()
    consistency.check()
    assert notices(conflicts.STATES) == []


def test_all_is_well_at_every_stage_of_a_campaign(campaign):
    assert consistency.check() == 0
    opened()
    assert consistency.check() == 0
    Batch.objects.update(state=BatchState.READY, lease_owner="")
    Attempt.objects.all().delete()
    lose(opened())
    assert consistency.check() == 0
    make_campaign(count=2)
    expand_ready()
    send()
    assert (consistency.check(), statuses()) == (0, {"unknown": 3, "sent": 2})


def test_the_state_of_a_batch_is_mended_from_its_tally(campaign):
    Batch.objects.update(state=BatchState.UNKNOWN)
    assert consistency.check() == 1
    assert Batch.objects.get().state == BatchState.READY
    assert (consistency.check(), send()) == (0, 1)


def test_a_question_that_breaks_stops_no_other(campaign, monkeypatch):
    def broken():
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(consistency, "QUESTIONS", (broken, *consistency.QUESTIONS))
    rows_gone_wrong()
    assert consistency.check() == 2  # one row too few is queued, one too many sent


def test_some_of_many_are_looked_at_and_in_time_all(campaign, monkeypatch):
    monkeypatch.setattr(consistency, "CAMPAIGNS_AT_ONCE", 1)
    make_campaign(count=1)
    expand_ready()
    Campaign.objects.filter(pk=campaign.pk).update(total_recipients=7)
    found = set()
    for start in range(campaign.pk, campaign.pk + 2):
        monkeypatch.setattr("random.randint", lambda low, high, start=start: start)
        found.add(consistency.check())
    assert found == {0, 1}


def test_a_closed_message_that_the_provider_has_is_shown_once(campaign, django_capture_on_commit_callbacks):
    message = Message.objects.earliest("pk")
    settlement.control([message.pk], S.CANCELLED, Reason.CANCELLED)
    told = settlement.facts_from([Report(message.message_id, S.DELIVERED)], FactSource.PUSH)[0]
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            settlement.apply(told)
    assert notices(conflicts.PROVIDER) == [1]
    (words,) = conflicts.OF_PROVIDERS.get().last
    assert words.endswith(f"message {message.message_id} is cancelled, yet the provider has it")


def test_an_operator_reads_the_list_and_empties_it(admin_client, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        conflicts.note_provider("message x is cancelled, yet the provider has it")
    row = Setting.objects.get(key=conflicts.PROVIDER)
    page = admin_client.get(reverse("admin:accounts_setting_changelist"), {"key": row.key})
    assert "message x is cancelled" in page.content.decode()
    admin_client.post(reverse("admin:accounts_setting_change", args=[row.pk]), {"value": ""})
    assert notices(conflicts.PROVIDER) == []


@pytest.mark.parametrize("value", ["", "dealt with", "[]", '{"count": "many"}'])
def test_what_an_operator_writes_there_counts_as_none(value):
    Setting.objects.create(key=conflicts.PROVIDER, value=value)
    assert conflicts.OF_PROVIDERS.get().count == 0


def test_every_open_campaign_is_looked_at_in_turn(monkeypatch):
    """However far apart their keys are: an old one that is never closed must not hide those between."""
    own = uuid.uuid4().hex  # tests beside this one have the same cache
    monkeypatch.setattr(rounds, "_key", lambda check: f"round:{own}:{check}")
    monkeypatch.setattr(consistency, "CAMPAIGNS_AT_ONCE", 2)
    monkeypatch.setattr(consistency, "CAMPAIGNS_LOOKED_AT", 2)
    wrong = [make_campaign(count=1) for _ in range(5)]
    while expand_ready():
        pass
    Campaign.objects.update(sent=1)
    found = {line.split()[1] for _ in range(3) for line in consistency.campaigns_that_do_not_add_up()}
    assert found == {campaign.bulk_id for campaign in wrong}
    Batch.objects.update(state=BatchState.DONE)
    seen = {line.split()[1] for _ in range(3) for line in consistency.batches_in_a_wrong_state()}
    assert seen == {str(batch.pk) for batch in Batch.objects.all()}
