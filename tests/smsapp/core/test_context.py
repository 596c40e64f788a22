"""The id of a call: returned, in every line logged for it, on what it made, and on work that goes on without it."""

import logging
from typing import Any

import pytest

from accounts.models import AuditEvent
from campaigns.models import Campaign
from messaging.sending.expansion import expand_ready
from smsapp.core.context import RequestIdFilter, acting_for, current_request_id
from tests.support.factories import make_api_key, phones

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """Lines as the handler of the installation writes them."""
    caplog.handler.addFilter(RequestIdFilter())
    caplog.set_level(logging.INFO)
    return lambda: [f"{record.getMessage()}{record.request_id}" for record in caplog.records]


def call(client: Any, path: str, body: Any, request_id: str) -> Any:
    _, key = make_api_key()
    headers = {"X-API-Key": key, "X-Request-Id": request_id}
    return client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)


def test_it_is_on_the_answer_the_log_the_send_and_the_audit(client: Any, lines: Any) -> None:
    answer = call(client, "sms/bulk", {"phone_numbers": phones(2), "message": "Hello"}, "call-1")
    assert answer.headers["X-Request-Id"] == answer.json()["metadata"]["request_id"] == "call-1"
    assert Campaign.objects.get().request_id == "call-1"
    assert set(AuditEvent.objects.filter(action="campaign.started").values_list("request_id", flat=True)) == {"call-1"}
    created = [line for line in lines() if " created with " in line]
    assert len(created) == 1
    assert created[0].endswith(" request_id=call-1")


def test_work_that_goes_on_without_the_call_carries_its_id(client: Any, lines: Any) -> None:
    call(client, "sms/bulk", {"phone_numbers": phones(2), "message": "Hello"}, "call-2")
    begun = len(lines())
    expand_ready()
    (line,) = [line for line in lines()[begun:] if "is made into messages" in line]
    assert line.endswith(" request_id=call-2")


def test_a_refused_call_has_one_too(client: Any) -> None:
    answer = client.get("/api/v1/campaigns", headers={"X-Request-Id": "call-3"})
    assert answer.status_code == 401
    assert answer.headers["X-Request-Id"] == answer.json()["metadata"]["request_id"] == "call-3"


@pytest.mark.parametrize("text", ["a b", "a\tb", "x" * 65, "é", "a;b", "<a>", ""])
def test_what_is_no_id_is_replaced(client: Any, text: str) -> None:
    answer = client.get("/api/v1/campaigns", headers={"X-Request-Id": text})
    assert len(answer.headers["X-Request-Id"]) == 36


def test_work_for_one_call_ends_with_it() -> None:
    with acting_for("call-4"):
        assert current_request_id() == "call-4"
    assert current_request_id() != "call-4"
