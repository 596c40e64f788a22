"""Every word of every provider, with the question that decides whether a message may be sent again:

does anybody know that the handset has not got it?

Each code that an adapter knows stands here with the answer, so that a new one has to be decided.
"""

from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from messaging.choices import MessageStatus, Reason
from messaging.gateways import http, infobip, infobip_reports, twilio, twilio_reports
from messaging.gateways.base import Policy, Push, Report
from messaging.sending.resending import FAILED_STATUSES
from messaging.simulator.outcomes import OUTCOMES
from messaging.simulator.twilio import _status as status_at_twilio

S = MessageStatus

#: Nobody has got it, and somebody knows; it arrived; the provider has it; the operator has it; nobody can say any more.
NOT_ARRIVED, REFUSED, ARRIVED, ON_ITS_WAY, AT_OPERATOR, GIVEN_UP = (
    "not arrived",
    "refused",
    "arrived",
    "on its way",
    "at the operator",
    "given up",
)
EXPECTED: dict[str, tuple[MessageStatus, bool]] = {  # and whether the reason is that there was no receipt
    NOT_ARRIVED: (S.UNDELIVERED, False),
    REFUSED: (S.REJECTED, False),
    ARRIVED: (S.DELIVERED, False),
    ON_ITS_WAY: (S.SENT, False),
    AT_OPERATOR: (S.SENT, True),
    GIVEN_UP: (S.UNCONFIRMED, True),
}
UNLISTED = 4711

INFOBIP: dict[tuple[int, int], str] = {
    (0, 0): ON_ITS_WAY,  # MESSAGE_ACCEPTED
    (1, 3): ON_ITS_WAY,  # PENDING_WAITING_DELIVERY
    (1, 7): ON_ITS_WAY,  # PENDING_ENROUTE
    (1, 26): ON_ITS_WAY,  # PENDING_ACCEPTED
    (2, 4): NOT_ARRIVED,  # UNDELIVERABLE_REJECTED_OPERATOR
    (2, 9): NOT_ARRIVED,  # UNDELIVERABLE_NOT_DELIVERED
    (2, 31): NOT_ARRIVED,  # UNDELIVERABLE_NOT_SENT
    (3, 2): AT_OPERATOR,  # DELIVERED_TO_OPERATOR
    (3, 5): ARRIVED,  # DELIVERED_TO_HANDSET
    (4, 15): NOT_ARRIVED,  # EXPIRED_EXPIRED
    (4, 29): GIVEN_UP,  # EXPIRED_DLR_UNKNOWN
    (4, 87): NOT_ARRIVED,  # SIGNALS_BLOCKED
    **{
        (5, status_id): REFUSED for status_id in (6, 8, 10, 11, 12, 13, 14, 17, 18, 19, 20, 21, 24, 25, 51, 52, 87, 100)
    },
    (5, 23): ON_ITS_WAY,  # REJECTED_DUPLICATE_MESSAGE_ID
    **{
        (group, UNLISTED): answer
        for group, answer in enumerate((ON_ITS_WAY, ON_ITS_WAY, NOT_ARRIVED, ARRIVED, GIVEN_UP, REFUSED))
    },
}
TWILIO = {
    "accepted": ON_ITS_WAY,
    "scheduled": ON_ITS_WAY,
    "queued": ON_ITS_WAY,
    "sending": ON_ITS_WAY,
    "sent": AT_OPERATOR,
    "delivered": ARRIVED,
    "read": ARRIVED,
    "partially_delivered": ARRIVED,
    "undelivered": NOT_ARRIVED,
    "failed": REFUSED,
    "canceled": REFUSED,
}
HTTP = {
    "sent": ON_ITS_WAY,
    "operator": AT_OPERATOR,
    "delivered": ARRIVED,
    "undelivered": NOT_ARRIVED,
    "unreachable": NOT_ARRIVED,
    "unknown_number": NOT_ARRIVED,
    "unconfirmed": GIVEN_UP,
    "rejected": REFUSED,
    "opted_out": REFUSED,
}
#: The last word of each outcome of the simulator, as Infobip and as Twilio.
SIMULATOR = {
    "delivered": (ARRIVED, ARRIVED),
    "odd_status": (ARRIVED, ARRIVED),
    "silent": (ON_ITS_WAY, AT_OPERATOR),
    "operator_only": (AT_OPERATOR, AT_OPERATOR),
    "no_receipt": (GIVEN_UP, AT_OPERATOR),
    "phone_off": (NOT_ARRIVED, NOT_ARRIVED),
    "unknown_number": (NOT_ARRIVED, NOT_ARRIVED),
    "memory_full": (NOT_ARRIVED, NOT_ARRIVED),
    "spam": (NOT_ARRIVED, NOT_ARRIVED),
    "stopped": (NOT_ARRIVED, NOT_ARRIVED),
    "late_refusal": (REFUSED, REFUSED),
    "late_no_credit": (REFUSED, REFUSED),
    "no_credit": (REFUSED, None),
    "bad_number": (REFUSED, None),
    "blocklisted": (REFUSED, None),
    "too_long": (REFUSED, None),
}


def answer_of(report: Report) -> str:
    said = (report.status, report.reason is Reason.NO_RECEIPT)
    (answer,) = [answer for answer, expected in EXPECTED.items() if expected == said]
    return answer


def by_infobip(status: dict[str, Any], error: int = 0) -> Report:
    gateway = infobip.Infobip(base_url="http://127.0.0.1:1", api_key="key", policy=Policy(1, 1.0))
    entry = {"messageId": "m1", "status": status, "error": {"id": error}}
    (report,) = gateway.parse_reports(orjson.dumps({"results": [entry]}))
    return report


def by_twilio(status: str, error: int | None = None) -> Report:
    gateway = twilio.Twilio(twilio.Credentials("AC1", "token"), policy=Policy(1, 1.0))
    fields = {"MessageSid": "SM1", "MessageStatus": status} | ({"ErrorCode": str(error)} if error else {})
    (report,) = gateway.parse_reports(gateway.body_of(Push("", {}, urlencode(fields).encode(), "m1")))
    return report


def by_http(word: str) -> Report:
    rules = http.Rules(
        url="http://127.0.0.1:1/?to={to}&text={text}", report_status_path="state", statuses={"theirs": word}
    )
    gateway = http.Http(rules, {}, policy=Policy(1, 1.0), name="pigeon")
    (report,) = gateway.parse_reports(b'smsapp_id=m1\n{"state": "theirs"}')
    return report


def test_only_what_somebody_knows_not_to_have_arrived_is_sent_again() -> None:
    assert {EXPECTED[answer][0] for answer in (NOT_ARRIVED, REFUSED)} <= set(FAILED_STATUSES)
    assert not {EXPECTED[answer][0] for answer in (ARRIVED, ON_ITS_WAY, AT_OPERATOR, GIVEN_UP)} & set(FAILED_STATUSES)


@pytest.mark.parametrize("code", INFOBIP, ids=str)
def test_what_infobip_says(code: tuple[int, int]) -> None:
    group, status_id = code
    assert answer_of(by_infobip({"groupId": group, "id": status_id})) == INFOBIP[code]


def test_an_error_of_infobips_says_why_and_never_whether() -> None:
    for (group, status_id), answer in INFOBIP.items():
        for error in (*infobip_reports.ERROR_REASONS, 255, 500, 2048, UNLISTED):
            assert answer_of(by_infobip({"groupId": group, "id": status_id}, error)) == answer, (status_id, error)


def test_every_code_of_infobips_is_decided() -> None:
    decided = {status_id for _, status_id in INFOBIP}
    assert {group for group, _ in INFOBIP} == set(infobip_reports.GROUPS)
    assert set(infobip_reports.EXCEPTIONS) <= set(INFOBIP)
    assert {*infobip_reports.STATUS_REASONS, *infobip_reports.ACCOUNT_REFUSALS} <= decided


@pytest.mark.parametrize("word", TWILIO)
def test_what_twilio_says(word: str) -> None:
    assert answer_of(by_twilio(word)) == TWILIO[word]


def test_an_error_of_twilios_says_why_and_never_whether() -> None:
    for word, answer in TWILIO.items():
        for error in (*twilio_reports.DELIVERY_ERRORS, UNLISTED):
            assert answer_of(by_twilio(word, error)) == answer, (word, error)


def test_every_word_of_twilios_is_decided() -> None:
    assert set(twilio_reports.STATUSES) == set(TWILIO)
    assert answer_of(by_twilio("a new one")) == ON_ITS_WAY


@pytest.mark.parametrize("word", HTTP)
def test_what_a_word_of_a_custom_gateway_means(word: str) -> None:
    assert answer_of(by_http(word)) == HTTP[word]


def test_every_word_of_a_custom_gateway_is_decided() -> None:
    assert set(http.MEANINGS) == set(HTTP)


@pytest.mark.parametrize("name", OUTCOMES)
def test_what_the_simulator_says_last(name: str) -> None:
    outcome, (as_infobip, as_twilio) = OUTCOMES[name], SIMULATOR[name]
    assert answer_of(by_infobip(outcome.status, outcome.error["id"])) == as_infobip
    if as_twilio:
        assert answer_of(by_twilio(*status_at_twilio(outcome))) == as_twilio


def test_every_outcome_of_the_simulator_is_decided() -> None:
    assert set(OUTCOMES) == set(SIMULATOR)
