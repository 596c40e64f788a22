"""Twilio: our adapter against the simulator and the official SDK, what its errors mean, and its signed reports."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from messaging.choices import MessageStatus, Reason
from messaging.gateways.base import LookUpBy, NotSent, OutgoingMessage, Policy, Push, Refused, Submission, Unknown
from messaging.gateways.twilio import Credentials, Twilio, signature
from tests.support.servers.gateways import answering, raw_server
from tests.support.servers.simulators import RunningSimulator, running_simulator

ACCOUNT = "AC" + "1" * 32
DELIVERED, PHONE_OFF, BAD_NUMBER, BLOCKED = "+447900999901", "+447900999903", "+447900999907", "+447900999908"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSimulator]:
    with running_simulator(undelivered=0.0, rejected=0.0, report_delay_ms=0.0, keep_text=True) as simulator:
        yield simulator


def adapter(url: str, token: str = "simulator", **options: Any) -> Twilio:  # noqa: S107
    policy = Policy(10, 1.0, look_up_by=LookUpBy.THEIR_ID)
    return Twilio(Credentials(ACCOUNT, token, **options), policy=policy, base_url=url, timeout=2.0)


def outgoing(*numbers: str, text: str = "Hello") -> list[OutgoingMessage]:
    return [OutgoingMessage(f"m{place}", number, text) for place, number in enumerate(numbers)]


def submission(*numbers: str, sender: str = "SHOP", **options: Any) -> Submission:
    return Submission("call-1", outgoing(*numbers), sender, **options)


def sdk(url: str, token: str = "simulator") -> Client:  # noqa: S107
    client = Client(ACCOUNT, token, http_client=TwilioHttpClient(timeout=5))
    client.api.base_url = url
    return client


def test_the_sdk_and_the_adapter_send_and_read_the_same(running: RunningSimulator) -> None:
    client = sdk(running.url)
    sent = client.messages.create(to=DELIVERED, from_="SHOP", body="Hello")
    assert sent.status == "queued"
    theirs = client.messages(sent.sid or "").fetch()
    gateway = adapter(running.url)
    answer = gateway.submit(submission(DELIVERED))
    assert (answer.http_status, list(answer.accepted), list(answer.reports)) == (201, ["m0"], [])
    (report,) = gateway.look_up_messages([answer.provider_ids["m0"]]).reports
    assert (theirs.status, report.status) == ("delivered", MessageStatus.DELIVERED)
    assert (report.provider_id, report.segment_count, report.currency) == (answer.provider_ids["m0"], 1, "USD")
    assert report.price is not None
    assert report.price > 0
    assert gateway.balance().amount == round(gateway.balance().amount, 2)


def test_each_message_has_an_outcome_of_its_own(running: RunningSimulator) -> None:
    answer = adapter(running.url).submit(submission(DELIVERED, BAD_NUMBER, PHONE_OFF, BLOCKED))
    assert set(answer.accepted) == {"m0", "m2"}
    reasons = {report.message_id: (report.status, report.reason, report.error_code) for report in answer.reports}
    assert reasons == {
        "m1": (MessageStatus.REJECTED, Reason.RECIPIENT_REFUSED, "21211"),
        "m3": (MessageStatus.REJECTED, Reason.OPTED_OUT, "21610"),
    }
    assert set(answer.provider_ids) == {"m0", "m2"}


@pytest.mark.parametrize(
    ("number", "code"),
    [("+15005550001", 21211), ("+15005550002", 21612), ("+15005550003", 21408), ("+15005550009", 21614)],
)
def test_the_magic_numbers_answer_as_twilios_do(running: RunningSimulator, number: str, code: int) -> None:
    with pytest.raises(TwilioRestException) as refused:
        sdk(running.url).messages.create(to=number, from_="SHOP", body="Hello")
    assert (refused.value.status, refused.value.code) == (400, code)
    (report,) = adapter(running.url).submit(submission(number)).reports
    assert (report.status, report.error_code) == (MessageStatus.REJECTED, str(code))


@pytest.mark.parametrize("sender", ["+15005550001", "+15005550007"])
def test_a_sender_that_is_not_ours_refuses_the_account(running: RunningSimulator, sender: str) -> None:
    with pytest.raises(Refused) as refused:
        adapter(running.url).submit(submission(DELIVERED, sender=sender))
    assert refused.value.is_account


def test_a_full_queue_is_no_refusal(running: RunningSimulator) -> None:
    with pytest.raises(NotSent) as held:
        adapter(running.url).submit(submission(DELIVERED, sender="+15005550008"))
    assert (held.value.throttled, held.value.retry_after) == (True, 60.0)


def test_a_wrong_token_refuses_the_account(running: RunningSimulator) -> None:
    with pytest.raises(Refused) as refused:
        adapter(running.url, token="wrong").submit(submission(DELIVERED))
    assert refused.value.is_account
    assert refused.value.http_status == 401
    with pytest.raises(TwilioRestException):
        sdk(running.url, token="wrong").messages.create(to=DELIVERED, from_="SHOP", body="Hello")


def test_without_a_sender_a_messaging_service_is_needed(running: RunningSimulator) -> None:
    with pytest.raises(Refused, match="no messaging service"):
        adapter(running.url).submit(submission(DELIVERED, sender=""))
    answer = adapter(running.url, messaging_service_sid="MG1").submit(submission(DELIVERED, sender=""))
    assert list(answer.accepted) == ["m0"]


def test_an_api_key_sends_and_the_token_signs(running: RunningSimulator) -> None:
    gateway = adapter(running.url, token="for signatures", key_sid="SK1", key_secret="simulator")
    assert list(gateway.submit(submission(DELIVERED)).accepted) == ["m0"]


@pytest.mark.parametrize(
    ("status", "body", "error", "about"),
    [
        (429, {"code": 20429}, NotSent, {"throttled": True}),
        (401, {"code": 20003}, Refused, {"is_account": True}),
        (400, {"code": 21606}, Refused, {"is_account": True}),
        (400, {"code": 99999}, None, {}),
        (500, {"code": 20500}, Unknown, {}),
        (503, {}, Unknown, {}),
        (302, {}, Unknown, {}),
        (201, {"no sid": 1}, Unknown, {}),
    ],
)
def test_what_an_answer_means(status: int, body: dict[str, Any], error: Any, about: dict[str, Any]) -> None:
    with raw_server(answering(status, orjson.dumps(body))) as server:
        if error is None:
            (report,) = adapter(server.url).submit(submission(DELIVERED)).reports
            assert (report.status, report.reason) == (MessageStatus.REJECTED, Reason.PROVIDER_REFUSED)
            return
        with pytest.raises(error) as raised:
            adapter(server.url).submit(submission(DELIVERED))
        assert {name: getattr(raised.value, name) for name in about} == about


#: As Twilio answers a send: https://www.twilio.com/docs/messaging/api/message-resource#create-a-message
TAKEN = {
    "sid": "SM" + "a" * 32,
    "account_sid": ACCOUNT,
    "api_version": "2010-04-01",
    "body": "Hello",
    "direction": "outbound-api",
    "from": "+14155552345",
    "to": DELIVERED,
    "messaging_service_sid": None,
    "num_media": "0",
    "num_segments": "1",
    "status": "queued",
    "error_code": None,
    "error_message": None,
    "price": None,
    "price_unit": None,
    "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
    "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000",
    "date_sent": None,
}
BY_SERVICE = {"messaging_service_sid": "MG" + "1" * 32, "from": None, "status": "accepted"}


@pytest.mark.parametrize(
    ("text", "said", "told"),
    [
        ("Hello", {}, None),
        ("Hello", {"num_segments": "2"}, 2),
        ("H" * 161, {}, 1),
        ("H" * 161, {"num_segments": "2"}, None),
        ("H" * 161, {"num_segments": "0"}, None),
        ("H" * 161, BY_SERVICE | {"num_segments": "0"}, None),
        ("H" * 161, BY_SERVICE | {"num_segments": "1"}, None),
        ("H" * 161, BY_SERVICE | {"num_segments": "1", "status": "queued"}, None),
        ("H" * 161, BY_SERVICE | {"num_segments": "3"}, 3),
    ],
)
def test_an_answer_that_counts_other_segments_says_so(text: str, said: dict[str, Any], told: int | None) -> None:
    with raw_server(answering(201, orjson.dumps(TAKEN | said))) as server:
        answer = adapter(server.url).submit(Submission("call-1", outgoing(DELIVERED, text=text), "SHOP"))
    assert answer.verdicts["m0"].status is MessageStatus.SENT
    assert answer.provider_ids == {"m0": TAKEN["sid"]}
    assert [report.segment_count for report in answer.reports] == ([told] if told else [])


def test_a_call_may_end_in_three_ways_at_once(running: RunningSimulator) -> None:
    """One taken, one not named because its answer was lost, one held back."""
    running.set_faults(accept_reset=0.5, throttle=0.3)
    seen = set()
    gateway = adapter(running.url)
    for _ in range(40):
        try:
            answer = gateway.submit(submission(*[DELIVERED] * 10))
        except (NotSent, Unknown):
            continue
        named = len(answer.accepted) + len(answer.not_sent)
        seen.add((bool(answer.accepted), bool(answer.not_sent), named < 10))
        assert bool(answer.not_sent) == (answer.not_sent_error is not None)
    running.set_faults()
    assert (True, True, True) in seen


# --- pushes ----------------------------------------------------------------------------------------------------------

URL = "https://sms.example.com/callbacks/twilio/token/m0"
FIELDS = {"MessageSid": "SM1", "MessageStatus": "delivered", "AccountSid": ACCOUNT, "From": "SHOP", "To": DELIVERED}


def push(fields: dict[str, str], url: str = URL, signed: str | None = None, message_id: str = "m0") -> Push:
    given = RequestValidator("simulator").compute_signature(url, fields) if signed is None else signed
    return Push(url, {"x-twilio-signature": given}, urlencode(fields).encode(), message_id)


def test_our_signature_is_that_of_the_documented_example_and_of_the_sdk() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+12349013030",
        "Digits": "1234",
        "From": "+12349013030",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    ours = signature("12345", url, {name: [value] for name, value in fields.items()})
    assert ours == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="
    assert ours == RequestValidator("12345").compute_signature(url, fields)


def test_a_signed_push_is_genuine_with_and_without_the_usual_port() -> None:
    gateway = adapter("https://api.twilio.com")
    assert gateway.is_genuine(push(FIELDS))
    with_port = URL.replace("example.com", "example.com:443")
    signed = RequestValidator("simulator").compute_signature(with_port, FIELDS)
    assert gateway.is_genuine(push(FIELDS, signed=signed))
    odd = URL.replace("example.com", "example.com:8443")
    assert gateway.is_genuine(push(FIELDS, url=odd))


FORGERIES: dict[str, Push] = {
    "no signature": push(FIELDS, signed=""),
    "nonsense": push(FIELDS, signed="abc="),
    "not base64": push(FIELDS, signed="ä" * 28),
    "another token": push(FIELDS, signed=RequestValidator("other").compute_signature(URL, FIELDS)),
    "another address": push(FIELDS, signed=RequestValidator("simulator").compute_signature(URL + "x", FIELDS)),
    "http for https": push(
        FIELDS, signed=RequestValidator("simulator").compute_signature(URL.replace("https", "http"), FIELDS)
    ),
    "another message's address": push(FIELDS, url=URL[:-1] + "1", signed=push(FIELDS).headers["x-twilio-signature"]),
    "a query added": push(FIELDS, url=f"{URL}?a=1", signed=push(FIELDS).headers["x-twilio-signature"]),
    "another port": push(
        FIELDS, url=URL.replace(".com", ".com:8443"), signed=push(FIELDS).headers["x-twilio-signature"]
    ),
    **{
        f"changed {name}": push(FIELDS | {name: value}, signed=push(FIELDS).headers["x-twilio-signature"])
        for name, value in {
            "MessageStatus": "undelivered",
            "MessageSid": "SM2",
            "To": PHONE_OFF,
            "From": "OTHER",
            "AccountSid": "AC2",
            "ErrorCode": "30003",
            "New": "",
            "messageStatus": "delivered",
        }.items()
    },
    **{
        f"without {name}": push(
            {key: value for key, value in FIELDS.items() if key != name},
            signed=push(FIELDS).headers["x-twilio-signature"],
        )
        for name in FIELDS
    },
    "empty body": push({}, signed=push(FIELDS).headers["x-twilio-signature"]),
    "body twice": push(FIELDS, signed=push(FIELDS).headers["x-twilio-signature"])._replace(
        body=(urlencode(FIELDS) + "&MessageStatus=failed").encode()
    ),
    "json": push(FIELDS)._replace(body=orjson.dumps(FIELDS)),
    "no text": push(FIELDS)._replace(body=b"\xff\xfe\x00"),
    "sha256": push(FIELDS, signed="n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_push_is_not_genuine(name: str) -> None:
    assert not adapter("https://api.twilio.com").is_genuine(FORGERIES[name])


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"MessageStatus": "delivered"}, MessageStatus.DELIVERED, Reason.NONE),
        ({"MessageStatus": "read"}, MessageStatus.DELIVERED, Reason.NONE),
        ({"MessageStatus": "sent"}, MessageStatus.SENT, Reason.NO_RECEIPT),
        ({"MessageStatus": "a new one"}, MessageStatus.SENT, Reason.NONE),
        ({"MessageStatus": "undelivered", "ErrorCode": "30003"}, MessageStatus.UNDELIVERED, Reason.UNREACHABLE),
        ({"MessageStatus": "undelivered", "ErrorCode": "30005"}, MessageStatus.UNDELIVERED, Reason.UNKNOWN_NUMBER),
        ({"MessageStatus": "failed", "ErrorCode": "30007"}, MessageStatus.REJECTED, Reason.CONTENT_REFUSED),
        ({"MessageStatus": "failed", "ErrorCode": "77777"}, MessageStatus.REJECTED, Reason.PROVIDER_REFUSED),
        ({"SmsStatus": "undelivered"}, MessageStatus.UNDELIVERED, Reason.NOT_DELIVERED),
    ],
)
def test_what_a_report_means(fields: dict[str, str], status: MessageStatus, reason: Reason) -> None:
    gateway = adapter("https://api.twilio.com")
    (report,) = gateway.parse_reports(gateway.body_of(push({"MessageSid": "SM1"} | fields)))
    assert (report.message_id, report.provider_id, report.status, report.reason) == ("m0", "SM1", status, reason)


@pytest.mark.parametrize("body", [b"", b"a=b", b"\xff\xfe", b"{}"])
def test_a_body_that_is_no_report_says_so(body: bytes) -> None:
    with pytest.raises(ValueError):
        adapter("https://api.twilio.com").parse_reports(body)


def test_a_reply_is_read_with_its_sender_and_our_number() -> None:
    fields = {"MessageSid": "SM9", "From": DELIVERED, "To": "+15005550006", "Body": "STOP", "NumSegments": "1"}
    (inbound,) = adapter("https://api.twilio.com").parse_inbound(urlencode(fields).encode())
    assert (inbound.sender, inbound.recipient, inbound.text) == (DELIVERED, "15005550006", "STOP")
