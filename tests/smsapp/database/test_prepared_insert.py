"""What is inserted with a statement made once is what Django would have inserted."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.choices import Mode
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.choices import Lane
from messaging.models import Batch
from messaging.sending.expansion import expand_ready
from smsapp.database.prepared_insert import Inserts
from tests.support.factories import make_campaign
from uploads.models import Audience, AudienceChunk

pytestmark = pytest.mark.django_db
ALONE = ("bulk_id", "part", "number")
ODD = 'it\'s 100 % \\ "ø"\n%s 😀'


def campaign(place: int) -> Campaign:
    made = make_campaign(None, 1)
    values = {
        "bulk_id": f"bulk-{place}",
        "message": ODD,
        "mode": Mode.TEST,
        "status": CampaignStatus.PAUSED,
        "scheduled_at": timezone.now(),
        "prices": {"49": 75_000, "": 0},
        "total_recipients": 0,
        "name": "",
    }
    return copy(made, **values)


def batch(place: int) -> Batch:
    make_campaign(None, 1)
    expand_ready()
    return copy(Batch.objects.latest("pk"), part=place + 1, lane=Lane.SINGLES, release_at=timezone.now())


def audience(place: int) -> Audience:
    return copy(make_campaign(None, 1).audience, columns=[ODD, "", "b"])


def chunk(place: int) -> AudienceChunk:
    found = make_campaign(None, 1).audience.chunks.get()
    return copy(found, number=place + 7, body=bytes(range(256)), prefix_counts={"49151": 1})


def copy(row: Any, **values: Any) -> Any:
    """A row that is not stored yet."""
    fields = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if field.name != "id"}
    return type(row)(**fields | values)


def others(row: Any, place: int) -> dict[str, Any]:
    """Values of its own for what no two rows share."""
    shared = {name: value for name, value in vars(row).items() if name in ALONE}
    return {name: f"{value}{place}" if isinstance(value, str) else value + place for name, value in shared.items()}


def stored(row: Model) -> dict[str, Any]:
    """Its columns, but for those that no two rows share."""
    left_out = {*ALONE, "id", "created_at", "updated_at"}
    values = type(row)._default_manager.filter(pk=row.pk).values().get()
    return {name: value for name, value in values.items() if name not in left_out}


@pytest.mark.parametrize("make", [campaign, batch, audience, chunk])
def test_it_stores_what_django_stores(make: Callable[[int], Any]) -> None:
    """Three rows at once and one by Django, all alike."""
    first = make(0)
    by_django, *rows = (copy(first, **others(first, place)) for place in range(1, 5))
    by_django.save(force_insert=True)
    with CaptureQueriesContext(connection) as statements:
        Inserts(type(rows[0]))(rows)
    assert len(statements) == 1
    assert len({row.pk for row in rows}) == 3
    assert [stored(row) for row in rows] == [stored(by_django)] * 3
    rows[0].refresh_from_db()
    rows[0].save()
