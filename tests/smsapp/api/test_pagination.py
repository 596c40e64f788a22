"""Lists: sealed cursors, bounded pages, strict filters, and the same cost however deep."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.choices import Mode
from campaigns.models import Campaign
from messaging.choices import FactSource, MessageStatus
from messaging.gateways.base import Report
from messaging.models import Message
from messaging.outcomes import settlement
from smsapp.api import cursors
from tests.support.factories import make_api_key, make_campaign, phones

pytestmark = [pytest.mark.django_db, pytest.mark.once]
MANY = 20_000


class Reader:
    def __init__(self, client: Any, **options: Any) -> None:
        self.client = client
        self.row, self.key = make_api_key(**options)

    def get(self, path: str) -> Any:
        return self.client.get(path if path.startswith("http") else f"/api/v1/{path}", headers={"X-API-Key": self.key})

    def page(self, path: str) -> Any:
        answer = self.get(path)
        assert answer.status_code == 200, answer.content
        return answer.json()["data"]

    def refusal(self, path: str) -> tuple[int, str, str]:
        answer = self.get(path)
        error = answer.json()["error"]
        return answer.status_code, error["code"], error["details"]["field"]


@pytest.fixture
def reader(client: Any) -> Reader:
    return Reader(client)


def campaigns(reader: Reader, count: int, **options: Any) -> list[Campaign]:
    return [make_campaign(reader.row.account, 1, **options) for _ in range(count)]


def cursor_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["cursor"][0]


def test_pages_follow_one_another(reader: Reader) -> None:
    made = [campaign.bulk_id for campaign in campaigns(reader, 5)]
    first = reader.page("campaigns?limit=2")
    second = reader.page(first["next"])
    third = reader.page(second["next"])
    pages = [[row["bulk_id"] for row in page["results"]] for page in (first, second, third)]
    assert pages == [made[:2:-1], made[2:0:-1], made[:1]]
    assert third == {"results": third["results"], "next": None}


def test_a_new_row_moves_nothing_on_later_pages(reader: Reader) -> None:
    made = [campaign.bulk_id for campaign in campaigns(reader, 3)]
    first = reader.page("campaigns?limit=1")
    campaigns(reader, 1)
    assert [row["bulk_id"] for row in reader.page(first["next"])["results"]] == [made[1]]


def test_the_size_of_a_page_may_change_on_the_way(reader: Reader) -> None:
    campaigns(reader, 4)
    first = reader.page("campaigns?limit=1")
    assert len(reader.page(first["next"].replace("limit=1", "limit=200"))["results"]) == 3


def test_a_cursor_shows_no_key_and_is_never_the_same_twice(reader: Reader) -> None:
    campaigns(reader, 3)
    cursors = [cursor_of(reader.page("campaigns?limit=1")["next"]) for _ in range(2)]
    assert cursors[0] != cursors[1]
    assert len(cursors[0]) < 80


@pytest.mark.parametrize("path", ["campaigns", "sms/reports", "api-keys", "account/requests"])
@pytest.mark.parametrize(
    "cursor", ["x", "cD0x", "cD0xMjM%3D", "-1", "1e9", "A" * 64, "A" * 5000, "%F0%9F%98%80", "bulk_id%3D1"]
)
def test_a_made_up_cursor_is_refused(reader: Reader, path: str, cursor: str) -> None:
    assert reader.refusal(f"{path}?cursor={cursor}") == (400, "INVALID_CURSOR", "cursor")


def test_a_changed_cursor_is_refused(reader: Reader) -> None:
    campaigns(reader, 2)
    good = cursor_of(reader.page("campaigns?limit=1")["next"])
    for place in range(0, len(good), 5):
        changed = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
        assert reader.refusal(f"campaigns?cursor={changed}")[1] == "INVALID_CURSOR"


def test_a_cursor_is_good_for_its_own_list_only(client: Any, reader: Reader, settings: Any) -> None:
    campaigns(reader, 2)
    cursor = cursor_of(reader.page("campaigns?limit=1")["next"])
    colleague = Reader(client, account=reader.row.account)
    assert colleague.get(f"campaigns?cursor={cursor}").status_code == 200
    test_key = Reader(client, account=reader.row.account, mode=Mode.TEST)
    for other in (test_key, Reader(client)):
        assert other.refusal(f"campaigns?cursor={cursor}")[1] == "INVALID_CURSOR"
    for path in ("campaigns?status=RUNNING", "campaigns?kind=single", "api-keys?", "sms/reports?"):
        assert reader.refusal(f"{path}&cursor={cursor}")[1] == "INVALID_CURSOR"
    settings.SECRET_KEY = "another" * 10
    colleague = Reader(client, account=reader.row.account)
    assert colleague.refusal(f"campaigns?cursor={cursor}")[1] == "INVALID_CURSOR"


@pytest.mark.parametrize("limit", ["0", "201", "-1", "1e9", "1000000000", "9" * 400, "", "a", "1.0", "٣"])
@pytest.mark.parametrize("path", ["campaigns", "sms/reports"])
def test_a_page_has_bounds(reader: Reader, path: str, limit: str) -> None:
    assert reader.refusal(f"{path}?limit={quote(limit)}") == (400, "VALIDATION_ERROR", "limit")


@pytest.mark.parametrize("path", ["campaigns", "sms/reports"])
@pytest.mark.parametrize(
    "name", ["_connector", "_negated", "account", "account_id", "pk", "id__gt", "status__in", "offset", "ordering"]
)
def test_only_named_filters_reach_the_database(reader: Reader, path: str, name: str) -> None:
    assert reader.refusal(f"{path}?{name}=OR 1=1") == (400, "VALIDATION_ERROR", name)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=delivered&status=sent", "status"),
        ("status=nonsense", "status"),
        ("status=", "status"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2027-01-01", "created_after"),
        ("created_after=2027-01-01T10:00:00", "created_after"),
        ("created_before=", "created_before"),
        ("created_before=99999-01-01T00:00:00Z", "created_before"),
        ("phone_number=12", "phone_number"),
        ("created_after=0001-01-01T00:00:00%2B14:00", "created_after"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(reader: Reader, query: str, field: str) -> None:
    assert reader.refusal(f"sms/reports?{query}") == (400, "VALIDATION_ERROR", field)


def reported(reader: Reader, count: int) -> list[dict[str, Any]]:
    body = {"phone_numbers": phones(count), "message": "Hello", "client_reference": "order-1"}
    answer = reader.client.post(
        "/api/v1/sms/send", body, content_type="application/json", headers={"X-API-Key": reader.key}
    )
    messages = answer.json()["data"]["messages"]
    told = [Report(message["message_id"], MessageStatus.DELIVERED) for message in messages[:-1]]
    told.append(Report(messages[-1]["message_id"], MessageStatus.UNDELIVERED))
    settlement.apply(settlement.facts_from(told, FactSource.PUSH)[0])
    return messages


def test_reports_are_found_by_every_filter(reader: Reader) -> None:
    messages = reported(reader, 3)

    def found(query: str) -> list[str]:
        return [row["to"] for row in reader.page(f"sms/reports?{query}")["results"]]

    everyone = [message["to"] for message in reversed(messages)]
    assert found("status=DELIVERED") == everyone[1:]
    assert found("status=UNDELIVERED") == everyone[:1]
    assert found("status=REJECTED") == []
    assert found("client_reference=order-1") == everyone
    assert found("client_reference=order-2") == []
    assert found(f"phone_number={quote(everyone[2])}") == found(f"phone_number={everyone[2]}") == everyone[2:]
    now = timezone.now()
    early, late = (quote((now + step).isoformat()) for step in (timedelta(hours=-1), timedelta(hours=1)))
    assert found(f"created_after={early}&created_before={late}") == everyone
    assert found(f"created_after={late}") == found(f"created_before={early}") == []
    assert found(f"created_after={late}&phone_number={quote(everyone[0])}") == []
    row = reader.page("sms/reports")["results"][0]
    assert row["client_reference"] == "order-1"


def test_reports_take_the_same_queries_however_many_there_are(reader: Reader) -> None:
    reported(reader, 2)
    with CaptureQueriesContext(connection) as few:
        reader.page("sms/reports")
    reader.row.account.campaigns.update(client_reference=None)
    reported(reader, 60)
    with CaptureQueriesContext(connection) as many:
        reader.page("sms/reports")
    assert len(many) == len(few)
    assert Message.objects.count() == 62


@pytest.mark.postgresql
def test_the_deepest_page_costs_what_the_first_one_does(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """No COUNT, no OFFSET; PostgreSQL reads the rows of the page by the index and no others."""
    (campaign,) = campaigns(reader, 1)
    rows = [Campaign(**_copied(campaign, number)) for number in range(MANY)]
    Campaign.objects.bulk_create(rows, batch_size=2000)
    with connection.cursor() as cursor:  # what it joins, too: left by other tests, their figures may be any
        cursor.execute("ANALYZE sms_campaigns, accounts_account, accounts_user, uploads_audience, file_uploads")
    reader.page("campaigns?limit=1")  # the use of the key is noted
    first = _cost(reader, "campaigns?limit=50")
    oldest = Campaign.objects.order_by("pk")[MANY // 4].pk
    with monkeypatch.context() as deep:
        deep.setattr(cursors, "seal", lambda request, position, seal=cursors.seal: seal(request, [0, oldest]))
        address = reader.page("campaigns?limit=50")["next"]
    assert _cost(reader, address) == first


def _copied(campaign: Campaign, number: int) -> dict[str, Any]:
    names = {field.attname for field in Campaign._meta.concrete_fields} - {"id", "bulk_id", "client_reference"}
    return {name: getattr(campaign, name) for name in names} | {"bulk_id": f"bulk-{number}"}


def _cost(reader: Reader, path: str) -> tuple[int, int]:
    """Queries, and rows that PostgreSQL looked at in the list's own table for the page."""
    with CaptureQueriesContext(connection) as captured:
        assert len(reader.page(path)["results"]) == 50
    statements = [query["sql"] for query in captured]
    (listing,) = [sql for sql in statements if 'FROM "sms_campaigns"' in sql and "LIMIT" in sql]
    assert "OFFSET" not in listing
    assert not any("COUNT(" in sql for sql in statements)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {listing}")
        plan = cursor.fetchone()[0][0]["Plan"]
    return len(statements), _rows_read(plan)


def _rows_read(plan: dict[str, Any]) -> int:
    own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) if plan.get("Alias") == "sms_campaigns" else 0
    assert plan["Node Type"] != "Sort", plan
    return int(own) + sum(_rows_read(child) for child in plan.get("Plans", ()))
