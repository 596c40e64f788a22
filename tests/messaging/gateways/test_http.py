"""A custom HTTP gateway: two invented providers by configuration alone, and what an operator may get wrong."""

from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest

from messaging.choices import GatewayKind, MessageStatus, Reason
from messaging.gateways.base import NotSent, OutgoingMessage, Push, Refused, Submission, Unknown
from messaging.gateways.factory import Setup, make
from messaging.gateways.http import Defect, Http
from tests.support.servers.gateways import RawServer, answering, raw_server

TO = "+491511234567"
ODD = 'He said "hi" \\ {name} \n😀 & = é'

#: JSON, a bearer token, nested answers, reports in a list by the provider's own id.
PIGEON: dict[str, Any] = {
    "headers": {"Authorization": "Bearer {token}", "X-Version": "2"},
    "body": {
        "message": {"recipients": [{"msisdn": "{to_digits}"}], "text": "{text}", "ttl": "{validity}"},
        "from": "{sender}",
        "ref": "{message_id}",
        "hook": "{report_url}",
    },
    "accepted": [201],
    "not_processed": [503],
    "id_path": "messages.0.id",
    "status_path": "messages.0.state",
    "error_path": "messages.0.why",
    "statuses": {
        "Queued": "sent",
        "LANDED": "delivered",
        "lost": "undelivered",
        "no-such-bird": "unknown_number",
        "refused": "rejected",
    },
    "list_path": "events",
    "report_id_path": "id",
    "report_status_path": "state",
    "report_error_path": "why",
    "secret_header": "X-Pigeon-Secret",
    "inbound_id_path": "id",
    "inbound_from_path": "sender",
    "inbound_to_path": "to",
    "inbound_text_path": "body",
}
#: A GET with everything in the query, HTTP Basic, a bare answer, reports as a form to the message's own address.
CARRIER: dict[str, Any] = {
    "method": "GET",
    "format": "query",
    "headers": {"Authorization": "Basic {basic}"},
    "body": {"nr": "{to}", "msg": "{text}", "cb": "{report_url}"},
    "accepted": [200],
    "statuses": {"ok": "delivered", "nok": "undelivered"},
    "report_format": "form",
    "report_status_path": "dlr",
}


def gateway(server: RawServer, rules: dict[str, Any], **secrets: str) -> Http:
    made = make(Setup("custom", GatewayKind.HTTP, secrets=secrets, rules={"url": f"{server.url}/v1/send"} | rules))
    assert isinstance(made, Http)
    return made


def submission(text: str = "Hello", **options: Any) -> Submission:
    return Submission("call", [OutgoingMessage("m1", TO, text)], "SHOP", "https://us.example/callbacks/x", **options)


def head_and_body(request: bytes) -> tuple[str, bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    return head.decode(), body


def test_a_json_provider_is_asked_and_understood() -> None:
    answer = orjson.dumps({"messages": [{"id": "p-7", "state": "QUEUED"}]})
    with raw_server(answering(201, answer)) as server:
        result = gateway(server, PIGEON, token="t0ken", callback="s").submit(submission(ODD, validity=600))
    head, body = head_and_body(server.requests[0])
    assert head.startswith("POST /v1/send HTTP/1.1")
    assert "Bearer t0ken" in head
    assert orjson.loads(body) == {
        "message": {"recipients": [{"msisdn": TO[1:]}], "text": ODD, "ttl": "600"},
        "from": "SHOP",
        "ref": "m1",
        "hook": "https://us.example/callbacks/x/m1",
    }
    assert (list(result.accepted), dict(result.provider_ids)) == (["m1"], {"m1": "p-7"})


def test_a_query_provider_is_asked_and_understood() -> None:
    with raw_server(answering(200, b"thanks")) as server:
        result = gateway(server, CARRIER, user="me", password="pass").submit(submission(ODD))
    head, _ = head_and_body(server.requests[0])
    line = head.splitlines()[0]
    fields = parse_qs(line.split(" ")[1].partition("?")[2])
    assert line.startswith("GET /v1/send?")
    assert fields == {"nr": [TO], "msg": [ODD], "cb": ["https://us.example/callbacks/x/m1"]}
    assert "Basic bWU6cGFzcw==" in head
    assert list(result.accepted) == ["m1"]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (201, {"messages": [{"id": "1", "state": "refused", "why": "blocked"}]}, MessageStatus.REJECTED),
        (201, {"messages": [{"id": "1", "state": "landed"}]}, MessageStatus.DELIVERED),
        (201, {"messages": [{"id": "1", "state": "confused"}]}, Unknown),  # a gap in the status map
        (201, {"messages": []}, Unknown),
        (201, "no object", Unknown),
        (200, {"messages": [{"id": "1", "state": "queued"}]}, Unknown),  # no status that accepts
        (503, {}, NotSent),
        (429, {}, NotSent),
        (401, {}, Refused),
        (400, {}, MessageStatus.REJECTED),
        (500, {}, Unknown),
        (302, {}, Unknown),
    ],
)
def test_what_an_answer_means(status: int, body: Any, expected: Any) -> None:
    with raw_server(answering(status, orjson.dumps(body))) as server:
        made = gateway(server, PIGEON, token="t", callback="s")
        if isinstance(expected, MessageStatus):
            (report,) = made.submit(submission()).reports
            assert report.status == expected
            return
        with pytest.raises(expected):
            made.submit(submission())


def test_reports_in_a_list_by_the_providers_id_and_with_a_secret() -> None:
    with raw_server(answering(200)) as server:
        made = gateway(server, PIGEON, token="t", callback="s3cret")
    body = orjson.dumps(
        {
            "events": [
                {"id": "p-1", "state": "landed"},
                {"id": "p-2", "state": "lost", "why": "fox"},
                {"id": "p-3", "state": "resting"},
                {"state": "landed"},
            ]
        }
    )
    good = Push("https://us.example/callbacks/x", {"x-pigeon-secret": "s3cret"}, body)
    assert made.is_genuine(good)
    for given in ("", "wrong", "S3CRET", "s3cret "):
        assert not made.is_genuine(good._replace(headers={"x-pigeon-secret": given}))
    assert not made.is_genuine(good._replace(headers={}))
    told = [(r.provider_id, r.status, r.error_description) for r in made.parse_reports(made.body_of(good))]
    assert told == [("p-1", MessageStatus.DELIVERED, ""), ("p-2", MessageStatus.UNDELIVERED, "fox")]


def test_reports_as_a_form_to_the_messages_own_address() -> None:
    with raw_server(answering(200)) as server:
        made = gateway(server, CARRIER, user="u", password="p")
    (report,) = made.parse_reports(made.body_of(Push("", {}, b"dlr=NOK&x=1", "m1")))
    assert (report.message_id, report.status, report.reason) == ("m1", MessageStatus.UNDELIVERED, Reason.NOT_DELIVERED)
    assert made.parse_reports(made.body_of(Push("", {}, b"dlr=maybe", "m1"))) == []


def test_a_reply_is_read() -> None:
    with raw_server(answering(200)) as server:
        made = gateway(server, PIGEON, token="t", callback="s")
    (inbound,) = made.parse_inbound(orjson.dumps({"id": 5, "sender": "491511", "to": "+49888", "body": "Stop"}))
    assert (inbound.provider_reference, inbound.sender, inbound.recipient) == ("5", "491511", "49888")
    with pytest.raises(ValueError, match="its id or its sender"):
        made.parse_inbound(b"{}")


MINIMAL: dict[str, Any] = {"url": "https://api.example.com/send", "body": {"to": "{to}", "text": "{text}"}}
DEFECTS: dict[str, tuple[dict[str, Any], str]] = {
    "no address": ({"url": ""}, "url"),
    "not http": ({"url": "ftp://example.com/"}, "url"),
    "no host": ({"url": "https:///send"}, "url"),
    "a placeholder in the host": ({"url": "https://{to}.example.com/"}, "url"),
    "another method": ({"method": "PATCH"}, "method"),
    "another format": ({"format": "xml"}, "format"),
    "GET with a body": ({"method": "GET"}, "format"),
    "a form that is a list": ({"format": "form", "body": ["{to}", "{text}"]}, "body"),
    "an unknown placeholder": ({"body": {"to": "{to}", "text": "{txt}"}}, "body"),
    "an unknown placeholder in a header": ({"headers": {"X": "{tokn}"}}, "headers"),
    "no number": ({"body": {"text": "{text}"}}, "body"),
    "no text": ({"body": {"to": "{to}"}}, "body"),
    "a text in a header": ({"headers": {"X": "{text}"}}, "headers"),
    "a header with a line break": ({"headers": {"X": "a\r\nY: b"}}, "headers"),
    "headers that are a list": ({"headers": ["X"]}, "headers"),
    "an unknown meaning": ({"statuses": {"ok": "fine"}}, "statuses"),
    "statuses without a meaning": ({"status_path": "state"}, "statuses"),
    "a rule nobody knows": ({"uri": "x"}, "uri"),
    "a number for a path": ({"id_path": 5}, "id_path"),
    "texts for HTTP statuses": ({"accepted": ["200"]}, "accepted"),
    "reports in XML": ({"report_format": "xml"}, "report_format"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_rules_that_cannot_work_are_refused_by_name(name: str) -> None:
    rules, field = DEFECTS[name]
    with pytest.raises(Defect) as refused:
        make(Setup("custom", GatewayKind.HTTP, rules=MINIMAL | rules))
    assert refused.value.field == field
    assert str(refused.value)


def test_the_smallest_rules_work() -> None:
    assert make(Setup("custom", GatewayKind.HTTP, rules=MINIMAL)).name == "custom"


def test_a_value_never_becomes_structure() -> None:
    with raw_server(answering(200, b"{}")) as server:
        made = gateway(server, {"body": {"to": "{to}", "text": "{text}"}})
        made.submit(submission('","to":"+1900'))
    assert orjson.loads(head_and_body(server.requests[0])[1]) == {"to": TO, "text": '","to":"+1900'}
