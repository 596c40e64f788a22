"""An operator finds a message by its id or number, its calls and its reports; nothing else scans the tables."""

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from messaging.choices import AttemptState, Lane, MessageStatus
from messaging.ids import make_message_pk, public_id
from messaging.models import Attempt, Batch, DeliveryReport, Message
from smsapp.console.admin import COUNT_LIMIT
from tests.support.factories import make_campaign

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def batch() -> Batch:
    """Two messages, each with a report, the first with a call."""
    campaign = make_campaign()
    batch = Batch.objects.create(
        account=campaign.account, campaign=campaign, chunk=0, part=0, mode="live", lane=Lane.CAMPAIGNS, turn=0, size=2
    )
    for n, phone in enumerate(("+4915112000001", "+4915112000002")):
        number = make_message_pk(batch.pk, n)
        Message.objects.create(id=number, campaign=campaign, row=n, phone_number=phone, status=MessageStatus.SENT)
        DeliveryReport.objects.create(message_id=number, status=MessageStatus.SENT, source="answer")
    first = make_message_pk(batch.pk, 0)
    Attempt.objects.create(
        batch=batch,
        gateway="simulator",
        reference="call-1",
        epoch=1,
        first=first,
        last=first,
        message_count=1,
        state=AttemptState.OPEN,
        deadline=timezone.now(),
    )
    return batch


def found(client: Client, model: type[Model], term: str) -> list[int]:
    url = reverse(f"admin:messaging_{model._meta.model_name}_changelist")
    response = client.get(url, {"q": term})
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].queryset]


@pytest.mark.parametrize("spelling", ["+4915112000002", "+49 151 12-000-002", "0049 15112000002"])
def test_message_is_found_by_its_number_in_any_international_spelling(
    admin_client: Client, batch: Batch, spelling: str
) -> None:
    assert found(admin_client, Message, spelling) == [make_message_pk(batch.pk, 1)]


def test_message_its_calls_and_reports_are_found_by_message_id(admin_client: Client, batch: Batch) -> None:
    number = make_message_pk(batch.pk, 0)
    assert found(admin_client, Message, public_id(number)) == [number]
    assert found(admin_client, Attempt, public_id(number)) == [Attempt.objects.get().pk]
    assert found(admin_client, Attempt, public_id(number + 1)) == []
    reports = found(admin_client, DeliveryReport, public_id(number))
    assert reports == [DeliveryReport.objects.get(message=number).pk]


@pytest.mark.parametrize("model", [Message, DeliveryReport, Attempt, Batch])
@pytest.mark.parametrize("term", ["151120", "x", "'", "99999999999999999999", "🙂"])
def test_what_is_no_id_or_number_finds_nothing_and_breaks_nothing(
    admin_client: Client, batch: Batch, model: type[Model], term: str
) -> None:
    assert found(admin_client, model, term) == []


def test_batch_is_found_by_number_and_by_campaign(admin_client: Client, batch: Batch) -> None:
    assert found(admin_client, Batch, str(batch.pk)) == [batch.pk]
    assert found(admin_client, Batch, batch.campaign.bulk_id) == [batch.pk]


def test_list_counts_no_further_than_its_limit(admin_client: Client, batch: Batch) -> None:
    Message.objects.bulk_create(
        Message(
            id=make_message_pk(batch.pk + 1 + n // 1000, n % 1000), campaign=batch.campaign, row=n, phone_number="+1"
        )
        for n in range(COUNT_LIMIT + 500)
    )
    changelist = admin_client.get(reverse("admin:messaging_message_changelist")).context["cl"]
    assert changelist.result_count == COUNT_LIMIT
    assert changelist.full_result_count is None
