import os
import socket
import threading
import time
import warnings
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.choices import MessageStatus, Reason
from messaging.gateways.base import GatewayError, NotSent, OutgoingMessage, Policy, Refused, Submission, Unknown
from messaging.gateways.infobip import Infobip, request_body
from tests.support.servers.gateways import answering, raw_server
from tests.support.servers.simulators import running_simulator

M = MessageStatus
KEY, NUMBER, TEXT = "0123456789abcdef-secret-key", "+447900000001", "Your code is 4711"


def gateway(url: str = "http://127.0.0.1:1", *, timeout: float = 5.0, api_key: str = KEY) -> Infobip:
    policy = Policy(max_batch=1000, lookup_grace=1.0)
    return Infobip(base_url=url, api_key=api_key, policy=policy, connect_timeout=1.0, timeout=timeout)


def submission(*ids: str, **changes: Any) -> Submission:
    messages = [OutgoingMessage(message_id, NUMBER, TEXT) for message_id in ids or ("m1",)]
    return Submission("batch-1", messages, **changes)


def parsed(status: dict[str, Any], **fields: Any) -> Any:
    entry = {"messageId": "m1", "status": status, **fields}
    (report,) = gateway().parse_reports(orjson.dumps({"results": [entry]}))
    return report


@pytest.mark.parametrize(
    ("group", "status_id", "status", "reason", "account_refused"),
    [
        (1, 3, M.SENT, Reason.NONE, False),
        (1, 7, M.SENT, Reason.NONE, False),
        (1, 26, M.SENT, Reason.NONE, False),
        (2, 4, M.UNDELIVERED, Reason.NOT_DELIVERED, False),
        (2, 9, M.UNDELIVERED, Reason.NOT_DELIVERED, False),
        (2, 31, M.UNDELIVERED, Reason.NOT_DELIVERED, False),
        (3, 2, M.SENT, Reason.NO_RECEIPT, False),
        (3, 5, M.DELIVERED, Reason.NONE, False),
        (4, 15, M.UNDELIVERED, Reason.UNREACHABLE, False),
        (4, 29, M.UNCONFIRMED, Reason.NO_RECEIPT, False),
        (4, 87, M.UNDELIVERED, Reason.PROVIDER_REFUSED, False),
        (5, 6, M.REJECTED, Reason.RECIPIENT_REFUSED, False),
        (5, 8, M.REJECTED, Reason.RECIPIENT_REFUSED, False),
        (5, 10, M.REJECTED, Reason.RECIPIENT_REFUSED, False),
        (5, 11, M.REJECTED, Reason.SENDER_REFUSED, True),
        (5, 12, M.REJECTED, Reason.PROVIDER_REFUSED, True),
        (5, 13, M.REJECTED, Reason.SENDER_REFUSED, False),
        (5, 14, M.REJECTED, Reason.RECIPIENT_REFUSED, False),
        (5, 17, M.REJECTED, Reason.PROVIDER_REFUSED, True),
        (5, 18, M.REJECTED, Reason.RECIPIENT_REFUSED, False),
        (5, 19, M.REJECTED, Reason.PROVIDER_REFUSED, True),
        (5, 20, M.REJECTED, Reason.CONTENT_REFUSED, False),
        (5, 21, M.REJECTED, Reason.PROVIDER_REFUSED, False),
        (5, 23, M.SENT, Reason.NONE, False),
        (5, 24, M.REJECTED, Reason.CONTENT_REFUSED, False),
        (5, 25, M.REJECTED, Reason.CONTENT_REFUSED, False),
        (5, 51, M.REJECTED, Reason.RECIPIENT_REFUSED, False),
        (5, 52, M.REJECTED, Reason.RECIPIENT_REFUSED, False),
        (5, 87, M.REJECTED, Reason.PROVIDER_REFUSED, False),
        (5, 100, M.REJECTED, Reason.PROVIDER_REFUSED, False),
        (0, 0, M.SENT, Reason.NONE, False),
    ],
)
def test_every_documented_status_has_its_meaning(
    group: int, status_id: int, status: MessageStatus, reason: Reason, account_refused: bool
) -> None:
    report = parsed({"groupId": group, "id": status_id, "name": f"NAME_{status_id}"})
    assert (report.status, report.reason, report.account_refused) == (status, reason, account_refused)
    assert report.provider_status == f"NAME_{status_id}"


def test_unknown_status_goes_by_its_group_and_an_unknown_group_is_under_way() -> None:
    assert parsed({"groupId": 2, "id": 4711}).status is M.UNDELIVERED
    assert parsed({"groupName": "REJECTED", "id": 4711}).status is M.REJECTED
    assert parsed({"groupName": "EXPIRED", "id": 4711}).status is M.UNCONFIRMED
    assert parsed({"groupId": 9, "groupName": "FUTURE", "id": 5000, "name": "NEW"}).status is M.SENT


@pytest.mark.parametrize(
    ("status", "error_id", "reason"),
    [
        ({"groupId": 2, "id": 9}, 1, Reason.UNKNOWN_NUMBER),
        ({"groupId": 2, "id": 9}, 27, Reason.UNREACHABLE),
        ({"groupId": 2, "id": 4}, 603, Reason.OPTED_OUT),
        ({"groupId": 2, "id": 4}, 607, Reason.CONTENT_REFUSED),
        ({"groupId": 5, "id": 11}, 368, Reason.SENDER_REFUSED),
        ({"groupId": 2, "id": 9}, 123456, Reason.NOT_DELIVERED),
        ({"groupId": 3, "id": 5}, 27, Reason.NONE),
    ],
)
def test_error_code_says_more_exactly_why_it_failed(status: dict[str, Any], error_id: int, reason: Reason) -> None:
    report = parsed(status, error={"id": error_id, "name": "EC_X", "description": "Words"})
    assert (report.reason, report.error_code, report.error_description) == (reason, str(error_id), "Words")


def test_price_is_for_all_segments_and_exact() -> None:
    delivered = {"groupId": 3, "id": 5}
    report = parsed(delivered, messageCount=3, price={"pricePerMessage": 0.07, "currency": "EUR"})
    assert (report.price, report.currency, report.segment_count) == (Decimal("0.21"), "EUR", 3)
    assert parsed(delivered, price={"pricePerMessage": 0.07, "currency": "EUR"}).price is None
    assert parsed(delivered, messageCount=1).price is None
    for absurd in (-1, 10**9):
        assert parsed(delivered, messageCount=1, price={"pricePerMessage": absurd, "currency": "EUR"}).price is None


@pytest.mark.parametrize("offset", ["Z", "+0000", "+00:00", "-0000"])
@pytest.mark.parametrize("fraction", ["", ".000"])
def test_every_date_form_is_read(offset: str, fraction: str) -> None:
    report = parsed({"groupId": 3, "id": 5}, doneAt=f"2026-08-24T15:00:00{fraction}{offset}")
    assert report.done_at == datetime(2026, 8, 24, 15, tzinfo=UTC)


def test_offset_of_a_date_is_obeyed_and_nonsense_is_no_date() -> None:
    delivered = {"groupId": 3, "id": 5}
    assert parsed(delivered, doneAt="2026-08-24T15:00:00.000+0530").done_at == datetime(2026, 8, 24, 9, 30, tzinfo=UTC)
    assert parsed(delivered, doneAt="yesterday").done_at is None


@pytest.mark.parametrize("body", [b"", b"<xml/>", b"[]", b"{}", b'{"results":{}}', b'{"results":null}', b"\xff\xfe"])
def test_body_of_another_shape_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        gateway().parse_reports(body)


def test_entries_without_id_or_status_are_left_out_and_said_so(caplog: pytest.LogCaptureFixture) -> None:
    good = {"messageId": "m1", "status": {"groupId": 3, "id": 5}}
    body = orjson.dumps({"results": [{"status": {}}, None, {"messageId": 7, "status": {}}, {"messageId": "m2"}, good]})
    assert [report.message_id for report in gateway().parse_reports(body)] == ["m1"]
    assert "4 of 5" in caplog.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
field_names = ("groupId", "groupName", "id", "name", "description", "pricePerMessage", "currency")
objects = st.dictionaries(st.sampled_from(field_names), json_values) | json_values


@given(status=objects, error=objects, price=objects, count=json_values, done_at=json_values)
def test_no_field_of_a_wrong_type_breaks_reading(**fields: Any) -> None:
    entry = {"messageId": "m1", "messageCount": fields.pop("count"), "doneAt": fields.pop("done_at"), **fields}
    reports = gateway().parse_reports(orjson.dumps({"results": [entry]}))
    assert len(reports) == isinstance(fields["status"], dict)
    for report in reports:
        assert report.status in (M.SENT, M.DELIVERED, M.UNDELIVERED, M.UNCONFIRMED, M.REJECTED)
        assert len(report.provider_status) <= 60
        assert "\x00" not in report.provider_status + report.error_description


def test_an_entry_that_is_no_text_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    good = b'{"messageId": "m-1", "status": {"groupId": 3, "id": 5}}'
    bad = [
        b'{"messageId": "\xff", "status": {"groupId": 3, "id": 5}}',
        b'{"messageId": "m-2", "status": {"groupId": 3, "name": "\xff"}}',
        b'{"messageId": "m-3", "status": {"groupId": 3}, "price": {"currency": "\xff"}}',
    ]
    reports = gateway().parse_reports(b'{"results": [%b]}' % b", ".join([*bad, good]))
    assert [report.message_id for report in reports] == ["m-1"]
    assert "3 of 4 entries" in caplog.text


def test_request_groups_equal_texts_and_carries_ids_without_plus() -> None:
    messages = [
        OutgoingMessage("m1", "+447900000001", "Hello"),
        OutgoingMessage("m2", "+447900000002", "Hello Ann"),
        OutgoingMessage("m3", "+447900000003", "Hello"),
    ]
    body = orjson.loads(request_body(Submission("batch-7", messages, "SHOP", "http://127.0.0.1/r", validity=600)))
    assert [message["content"]["text"] for message in body["messages"]] == ["Hello", "Hello Ann"]
    assert body["messages"][0]["destinations"] == [
        {"to": "447900000001", "messageId": "m1"},
        {"to": "447900000003", "messageId": "m3"},
    ]
    for message in body["messages"]:
        assert message["sender"] == "SHOP"
        assert message["options"]["validityPeriod"] == {"amount": 600, "timeUnit": "SECONDS"}
        assert message["webhooks"]["delivery"]["url"] == "http://127.0.0.1/r"
    assert body["options"] == {"schedule": {"bulkId": "batch-7"}, "includeSmsCountInResponse": True}


def test_request_without_sender_report_url_and_validity_leaves_them_out() -> None:
    (message,) = orjson.loads(request_body(submission()))["messages"]
    assert message.keys() == {"destinations", "content"}
    (message,) = orjson.loads(request_body(submission(validity=10 * 24 * 3600)))["messages"]
    assert message["options"]["validityPeriod"]["amount"] == 48 * 3600


def test_answer_is_matched_by_id_and_a_missing_one_is_not_reported() -> None:
    pending = {"groupId": 1, "groupName": "PENDING", "id": 26, "name": "PENDING_ACCEPTED"}
    entries = [{"messageId": name, "status": pending, "details": {"messageCount": 2}} for name in ("m3", "alien", "m1")]
    with raw_server(answering(200, orjson.dumps({"messages": entries}))) as server:
        answer = gateway(server.url).submit(submission("m1", "m2", "m3"))
    assert answer.accepted == ["m3", "m1"]
    assert answer.reports == []
    assert b"Authorization: App " + KEY.encode() in server.requests[0]


@pytest.mark.parametrize(
    ("status", "error", "is_account"),
    [
        (400, Refused, False),
        (401, Refused, True),
        (403, Refused, True),
        (404, Refused, True),
        (413, Refused, False),
        (429, NotSent, None),
        (408, Unknown, None),
        (301, Unknown, None),
        (303, Unknown, None),
        (307, Unknown, None),
        (500, Unknown, None),
        (502, Unknown, None),
        (503, Unknown, None),
        (504, Unknown, None),
    ],
)
def test_http_status_decides_the_kind_of_outcome(status: int, error: type[GatewayError], is_account: bool) -> None:
    behaviour = answering(status, b"<html>", Location="/elsewhere")
    with raw_server(behaviour) as server, pytest.raises(GatewayError) as caught:
        gateway(server.url).submit(submission())
    assert type(caught.value) is error
    assert caught.value.http_status == status
    assert getattr(caught.value, "is_account", None) is is_account
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"messages":[{"mess', b"{}", b"[]", b'{"messages":null}'])
def test_unreadable_success_is_unknown(body: bytes) -> None:
    with raw_server(answering(200, body)) as server, pytest.raises(Unknown):
        gateway(server.url).submit(submission())


def test_retry_after_is_read_in_both_forms_and_nonsense_is_ignored() -> None:
    """A date is counted from the provider's clock, whatever ours says."""
    date, later = "Mon, 01 Mar 2027 10:00:00 GMT", "Mon, 01 Mar 2027 10:01:00 GMT"
    waits: dict[str, float | None] = {}
    for header in ("7", later, "soon", "4\N{LATIN SMALL LETTER E WITH ACUTE}"):
        with raw_server(answering(429, Date=date, Retry_After=header)) as server, pytest.raises(NotSent) as caught:
            gateway(server.url).submit(submission())
        assert caught.value.throttled
        waits[header] = caught.value.retry_after
    assert waits.pop("7") == 7
    assert waits.pop(later) == 60
    assert set(waits.values()) == {None}


def test_detail_names_code_and_field_and_never_number_text_or_key() -> None:
    said = {
        "errorCode": "E400",
        "description": f"Bad number {NUMBER} for {TEXT} with {KEY}",
        "violations": [{"property": "messages[0].content.text", "violation": TEXT}],
    }
    with raw_server(answering(400, orjson.dumps(said))) as server, pytest.raises(Refused) as caught:
        gateway(server.url).submit(submission())
    assert caught.value.detail == "The provider refuses the request (HTTP 400, E400, messages[0].content.text)"
    garbage = f"{NUMBER} {TEXT} {KEY}\r\n\r\n".encode()
    with raw_server(lambda connection, _: connection.sendall(garbage)) as server, pytest.raises(Unknown) as unknown:
        gateway(server.url).submit(submission())
    assert unknown.value.detail == "RemoteProtocolError"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_what_never_left_is_not_sent() -> None:
    with pytest.raises(NotSent, match="refused"):
        gateway(f"http://127.0.0.1:{closed_port()}").submit(submission())
    with pytest.raises(NotSent, match="Name or service"):
        gateway("https://provider.invalid").submit(submission())
    with raw_server(answering(200)) as server, pytest.raises(NotSent):
        gateway(server.url.replace("http:", "https:")).submit(submission())


def test_server_that_never_speaks_tls_is_given_up_in_time_and_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        with pytest.raises(NotSent):
            gateway(f"https://127.0.0.1:{listener.getsockname()[1]}").submit(submission())
    assert time.monotonic() - started < 2


def test_key_that_no_header_can_hold_is_the_accounts_fault_and_any_other_is_sent() -> None:
    with raw_server(answering(401)) as server:
        with pytest.raises(Refused) as caught:
            gateway(server.url, api_key="two\nlines").submit(submission())
        assert caught.value.is_account
        assert server.requests == []
        with pytest.raises(Refused, match="HTTP 401"):
            gateway(server.url, api_key="ключ").submit(submission())


@pytest.mark.parametrize("url", ["", "ftp://host", "https://", "http://hóst"])
def test_base_url_that_is_none_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError):
        gateway(url)


def drip(data: bytes) -> Any:
    def behave(connection: socket.socket, request: bytes) -> None:
        for index in range(len(data)):
            connection.sendall(data[index : index + 1])
            time.sleep(0.05)

    return behave


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b" " * 900]
)
def test_server_that_drips_cannot_hold_a_call_beyond_its_time(data: bytes) -> None:
    head = data if data.endswith(b"y\r\n") else b""
    behaviour = drip(data) if head else _body_drip(data)
    with raw_server(behaviour) as server:
        started = time.monotonic()
        with pytest.raises(Unknown):
            gateway(server.url, timeout=0.5).submit(submission())
        assert 0.4 < time.monotonic() - started < 1.0


def _body_drip(data: bytes) -> Any:
    head, separator, body = data.partition(b"\r\n\r\n")

    def behave(connection: socket.socket, request: bytes) -> None:
        connection.sendall(head + separator)
        drip(body)(connection, request)

    return behave


def test_server_that_reads_too_slowly_cannot_hold_a_call_beyond_its_time() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with listener:
        threading.Thread(target=_sip, args=(listener,), daemon=True).start()
        messages = [OutgoingMessage(f"m{n}", NUMBER, f"{n} " + "x" * 1500) for n in range(5000)]
        started = time.monotonic()
        with pytest.raises(Unknown):
            gateway(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.5).submit(Submission("b", messages))
        assert time.monotonic() - started < 1.5


def _sip(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    end = time.monotonic() + 5
    with connection:
        try:
            while connection.recv(512) and time.monotonic() < end:
                time.sleep(0.02)
        except OSError:
            return


def test_call_that_was_frozen_past_its_time_before_it_began_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.create_connection

    def slow(*args: Any, **kwargs: Any) -> socket.socket:
        connection = real(*args, **kwargs)
        time.sleep(0.4)
        return connection

    monkeypatch.setattr(socket, "create_connection", slow)
    with raw_server(answering(200)) as server:
        with pytest.raises(NotSent):
            gateway(server.url, timeout=0.3).submit(submission())
        assert server.requests == []


def test_answer_without_end_is_cut_off() -> None:
    def behave(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with raw_server(behave) as server, pytest.raises(Unknown, match="RemoteProtocolError"):  # and no time-out
        gateway(server.url, timeout=10.0).submit(submission())


def test_environment_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    with running_simulator() as simulator:
        assert simulator.gateway().balance().currency == "EUR"


@pytest.mark.parametrize("status", [401, 403, 429, 500, 302])
def test_look_up_that_is_refused_is_not_conclusive(status: int) -> None:
    with raw_server(answering(status)) as server:
        found = gateway(server.url).look_up("batch-1")
    assert not found.conclusive
    assert f"HTTP {status}" in found.detail


def test_look_up_at_a_server_that_is_away_or_unreadable_is_not_conclusive() -> None:
    assert not gateway(f"http://127.0.0.1:{closed_port()}").look_up("batch-1").conclusive
    with raw_server(answering(200, b"<html>")) as server:
        assert not gateway(server.url).look_up("batch-1").conclusive


def test_look_up_follows_the_cursor_and_stops_at_a_log_that_never_ends() -> None:
    with running_simulator(undelivered=0, rejected=0) as simulator:
        adapter = simulator.gateway()
        for part in range(3):
            names = [f"m{part}-{n}" for n in range(800)]
            adapter.submit(Submission("batch-1", [OutgoingMessage(name, NUMBER, TEXT) for name in names]))
        found = adapter.look_up("batch-1")
    assert found.conclusive
    assert len({report.message_id for report in found.reports}) == 2400

    endless = {
        "results": [{"messageId": "m1", "status": {"groupId": 1, "id": 26}}],
        "cursor": {"limit": 1000, "nextCursor": "again"},
    }
    with raw_server(answering(200, orjson.dumps(endless))) as server:
        assert not gateway(server.url).look_up("batch-1").conclusive
    assert len(server.requests) == 5


def test_threads_share_one_gateway() -> None:
    with running_simulator(latency_ms=20) as simulator:
        adapter = simulator.gateway()
        failures: list[Exception] = []

        def send(part: int) -> None:
            try:
                for n in range(5):
                    adapter.submit(Submission(f"b{part}-{n}", [OutgoingMessage(f"m{part}-{n}", NUMBER, TEXT)]))
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=send, args=(part,)) for part in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert failures == []
        assert simulator.ledger()["posts"] == 40


def test_forked_child_uses_connections_of_its_own() -> None:
    ports: list[str] = []

    def behave(connection: socket.socket, request: bytes) -> None:
        body = b'{"balance": 1, "currency": "EUR"}'
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        while request:
            ports.append(str(connection.getpeername()[1]))
            connection.sendall(answer)
            request = connection.recv(65536)

    with raw_server(behave) as server:
        adapter = gateway(server.url)
        adapter.balance()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer Pythons warn of forking with threads
            child = os.fork()
        if child == 0:
            adapter.balance()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        adapter.balance()
    first, second, third = ports
    assert first == third != second
