"""Polling many gateways: each has its turn, also beside some that hang."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pytest

from messaging.choices import GatewayKind
from messaging.gateways import registry
from messaging.models import Gateway, ReportInbox
from messaging.outcomes import report_inbox
from tests.support.factories import in_use
from tests.support.servers.gateways import Behaviour, RawServer, answering, raw_server

pytestmark = pytest.mark.django_db

NOTHING = answering(200, b'{"results":[]}')
SOME = answering(200, orjson.dumps({"results": [{"messageId": "x", "status": {"groupId": 3}}]}))


@pytest.fixture
def servers(settings: Any) -> Iterator[ExitStack]:
    settings.GATEWAY_TIMEOUT = settings.GATEWAY_CONNECT_TIMEOUT = 1.0
    settings.TASK_BUDGET = 2.0
    with ExitStack() as stack:
        yield stack


def gateway(servers: ExitStack, name: str, behave: Behaviour) -> RawServer:
    server = servers.enter_context(raw_server(behave))
    row = Gateway(name=name, kind=GatewayKind.INFOBIP, base_url=server.url, **in_use())
    row.secrets = {"api_key": "key"}
    row.save()
    return server


def hanging(servers: ExitStack) -> Behaviour:
    is_over = threading.Event()
    servers.callback(is_over.set)
    return lambda connection, request: is_over.wait(30) and None


def test_every_gateway_is_polled_within_a_few_rounds_though_most_hang(servers: ExitStack, settings: Any) -> None:
    """Those that hang are the first of all, and more than are polled at the same time."""
    settings.TASK_BUDGET = 0.5
    hang = hanging(servers)
    silent = [gateway(servers, f"silent-{n}", hang) for n in range(12)]
    healthy = [gateway(servers, f"healthy-{n}", NOTHING) for n in range(8)]
    for _ in range(3):
        report_inbox.poll()
    assert [len(server.requests) >= 1 for server in silent + healthy] == [True] * 20


def test_one_gateway_that_hangs_holds_up_no_other_in_the_same_round(servers: ExitStack) -> None:
    silent = gateway(servers, "a-silent", hanging(servers))
    healthy = [gateway(servers, f"healthy-{n}", NOTHING) for n in range(19)]
    report_inbox.poll()
    assert [len(server.requests) for server in [silent, *healthy]] == [1] * 20


def test_a_gateway_with_very_many_reports_leaves_the_others_their_turn(servers: ExitStack) -> None:
    gateway(servers, "full", SOME)
    others = [gateway(servers, f"other-{n}", NOTHING) for n in range(19)]
    bodies = report_inbox.poll()
    assert [len(server.requests) for server in others] == [1] * 19
    assert ReportInbox.objects.filter(gateway="full").count() == bodies > 0


def test_a_gateway_that_cannot_be_set_up_stops_no_other(servers: ExitStack, settings: Any) -> None:
    settings.INFOBIP_BASE_URL, settings.INFOBIP_API_KEY = "ftp://nowhere", "key"
    registry.reset()
    other = gateway(servers, "other", NOTHING)
    report_inbox.poll()
    assert len(other.requests) == 1


def test_one_that_gave_no_answer_is_left_alone_for_a_while(servers: ExitStack) -> None:
    broken = gateway(servers, "broken", answering(500))
    for _ in range(3):
        report_inbox.poll()
    assert len(broken.requests) == 1
