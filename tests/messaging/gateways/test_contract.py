"""Infobip's official SDK and our adapter do the same things against the simulator and see the same."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Protocol

import orjson
import pytest
from django.core.exceptions import ImproperlyConfigured
from infobip_api_client import (
    ApiClient,
    Configuration,
    SmsApi,
    SmsDestination,
    SmsMessage,
    SmsMessageContent,
    SmsMessageRequestOptions,
    SmsRequest,
    SmsRequestSchedulingSettings,
    SmsTextContent,
)
from infobip_api_client.exceptions import BadRequestException, UnauthorizedException

from messaging.choices import MessageStatus
from messaging.gateways import registry as gateways
from messaging.gateways.base import GatewayError, NotSent, OutgoingMessage, Refused, Submission, Unknown
from messaging.gateways.infobip import Infobip
from messaging.simulator.faults import FAULTS
from tests.support.servers.simulators import RunningSimulator, running_simulator

DELIVERED, PHONE_OFF, BAD_NUMBER, NO_CREDIT = "447900999901", "447900999903", "447900999907", "447900999909"
NUMBERS = {"m1": DELIVERED, "m2": PHONE_OFF, "m3": BAD_NUMBER, "m4": NO_CREDIT}
#: Infobip's status group in our words.
STATUSES = {
    "PENDING": MessageStatus.SENT,
    "DELIVERED": MessageStatus.DELIVERED,
    "EXPIRED": MessageStatus.UNDELIVERED,
    "REJECTED": MessageStatus.REJECTED,
}
Seen = dict[str, MessageStatus]


class Client(Protocol):
    refused_key: type[Exception]
    refused_request: type[Exception]

    def send(self, reference: str, numbers: dict[str, str], text: str = "Hello") -> Seen: ...
    def reports(self) -> Seen: ...
    def log(self, reference: str) -> Seen: ...
    def balance(self) -> tuple[Decimal, str]: ...


class SdkClient:
    refused_key: type[Exception] = UnauthorizedException
    refused_request: type[Exception] = BadRequestException

    def __init__(self, url: str, api_key: str) -> None:
        self._client = ApiClient(Configuration(host=url, api_key=api_key))
        self._api = SmsApi(self._client)

    def send(self, reference: str, numbers: dict[str, str], text: str = "Hello") -> Seen:
        message = SmsMessage(
            sender="SHOP",
            destinations=[SmsDestination(to=to, messageId=name) for name, to in numbers.items()],
            content=SmsMessageContent(SmsTextContent(text=text)),
        )
        schedule = SmsRequestSchedulingSettings(bulkId=reference)
        request = SmsRequest(messages=[message], options=SmsMessageRequestOptions(schedule=schedule))
        return self._seen(self._api.send_sms_messages(request, _request_timeout=5.0).messages)

    def reports(self) -> Seen:
        answer = self._api.get_outbound_sms_message_delivery_reports(limit=1000, _request_timeout=5.0)
        return self._seen(answer.results)

    def log(self, reference: str) -> Seen:
        answer = self._api.get_outbound_sms_message_logs(
            bulk_id=[reference], limit=1000, use_cursor=True, _request_timeout=5.0
        )
        return self._seen(answer.results)

    def balance(self) -> tuple[Decimal, str]:
        # The SDK has no call for it; this is its own way of making one.
        request = self._client.param_serialize("GET", "/account/1/balance", auth_settings=["APIKeyHeader"])
        response = self._client.call_api(*request, _request_timeout=5.0)
        if response.status == 401:
            raise UnauthorizedException(status=401)
        answer = orjson.loads(response.read())
        return Decimal(str(answer["balance"])), answer["currency"]

    def close(self) -> None:
        self._client.rest_client.pool_manager.clear()

    @staticmethod
    def _seen(entries: Any) -> Seen:
        return {entry.message_id: STATUSES[entry.status.group_name] for entry in entries or ()}


class AdapterClient:
    refused_key: type[Exception] = Refused
    refused_request: type[Exception] = Refused

    def __init__(self, adapter: Infobip) -> None:
        self._adapter = adapter

    def send(self, reference: str, numbers: dict[str, str], text: str = "Hello") -> Seen:
        messages = [OutgoingMessage(name, f"+{to}", text) for name, to in numbers.items()]
        return self._seen(self._adapter.submit(Submission(reference, messages, sender="SHOP")).verdicts.values())

    def reports(self) -> Seen:
        body = self._adapter.poll_reports(1000)
        return self._seen(self._adapter.parse_reports(body)) if body else {}

    def log(self, reference: str) -> Seen:
        found = self._adapter.look_up(reference)
        assert found.conclusive, found.detail
        return self._seen(found.reports)

    def balance(self) -> tuple[Decimal, str]:
        balance = self._adapter.balance()
        return balance.amount, balance.currency

    def close(self) -> None:
        self._adapter.close()

    @staticmethod
    def _seen(reports: Any) -> Seen:
        return {report.message_id: report.status for report in reports}


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(balance=10, report_delay_ms=0) as running:
        yield running


def make_client(kind: str, simulator: RunningSimulator, api_key: str) -> Any:
    if kind == "sdk":
        return SdkClient(simulator.url, api_key)
    return AdapterClient(simulator.gateway(api_key=api_key))


@pytest.fixture(params=["sdk", "adapter"])
def client(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Iterator[Client]:
    made = make_client(request.param, simulator, simulator.api_key)
    yield made
    made.close()


def test_send_is_answered_for_each_recipient(client: Client, simulator: RunningSimulator) -> None:
    sent, rejected = MessageStatus.SENT, MessageStatus.REJECTED
    assert client.send("batch-1", NUMBERS) == {"m1": sent, "m2": sent, "m3": rejected, "m4": rejected}
    assert simulator.accepted_ids() == ["m1", "m2"]


def test_reports_are_given_once(client: Client, simulator: RunningSimulator) -> None:
    client.send("batch-1", NUMBERS)
    simulator.flush()
    assert client.reports() == {"m1": MessageStatus.DELIVERED, "m2": MessageStatus.UNDELIVERED}
    assert client.reports() == {}


def test_log_is_read_as_often_as_one_likes(client: Client, simulator: RunningSimulator) -> None:
    client.send("batch-1", NUMBERS)
    client.send("batch-2", {"m9": DELIVERED})
    seen = {"m1": MessageStatus.DELIVERED, "m2": MessageStatus.UNDELIVERED, "m3": MessageStatus.REJECTED}
    assert client.log("batch-1") == client.log("batch-1") == seen
    assert client.log("batch-3") == {}


def test_balance_falls_by_what_was_accepted(client: Client) -> None:
    assert client.balance() == (Decimal(10), "EUR")
    client.send("batch-1", NUMBERS)
    assert client.balance() == (Decimal("9.92"), "EUR")  # two segments to country code 44


def test_wrong_key_is_refused_and_nothing_accepted(simulator: RunningSimulator) -> None:
    for kind in ("sdk", "adapter"):
        stranger = make_client(kind, simulator, "wrong")
        for ask in (lambda made=stranger: made.send("batch-1", NUMBERS), stranger.reports, stranger.balance):
            with pytest.raises(stranger.refused_key):
                ask()
        stranger.close()
    assert simulator.ledger()["posts"] == 0


def test_request_that_breaks_the_rules_is_refused_whole(client: Client, simulator: RunningSimulator) -> None:
    with pytest.raises(client.refused_request):
        client.send("batch-1", NUMBERS, text="")
    assert simulator.accepted_ids() == []


def test_id_that_was_used_is_refused_by_the_provider_and_proof_of_acceptance_to_us(
    simulator: RunningSimulator,
) -> None:
    sdk, adapter = (make_client(kind, simulator, simulator.api_key) for kind in ("sdk", "adapter"))
    sdk.send("batch-1", {"m1": DELIVERED})
    assert sdk.send("batch-1", {"m1": DELIVERED}) == {"m1": MessageStatus.REJECTED}
    assert adapter.send("batch-1", {"m1": DELIVERED}) == {"m1": MessageStatus.SENT}
    assert simulator.accepted_ids() == ["m1"]
    sdk.close()


#: What a call comes to under each fault, and whether the provider then has its messages: all, some or none.
#: Faults of the log and of the reports leave the call itself alone.
OUTCOMES: dict[str, tuple[type[Exception] | None, str]] = {
    "throttle": (NotSent, "none"),
    "throttle_with_retry_after": (NotSent, "none"),
    "refuse_400": (Refused, "none"),
    "refuse_401": (Refused, "none"),
    "refuse_403": (Refused, "none"),
    "error_500": (Unknown, "none"),
    "unavailable_503": (Unknown, "none"),
    "redirect_307": (Unknown, "none"),
    "reset_before": (Unknown, "none"),
    "hang_before": (Unknown, "none"),
    "refuse_account": (None, "none"),
    "refuse_message": (None, "some"),
    "accept_reset": (Unknown, "all"),
    "accept_hang": (Unknown, "all"),
    "accept_500": (Unknown, "all"),
    "truncated_json": (Unknown, "all"),
    "cut_body": (Unknown, "all"),
    "html_200": (Unknown, "all"),
    "slow_drip": (Unknown, "all"),
    "omit_ids": (None, "all"),
    "reorder_answer": (None, "all"),
    "log_outage": (None, "all"),
    "report_never": (None, "all"),
    "report_repeat": (None, "all"),
    "report_reorder": (None, "all"),
    "report_early": (None, "all"),
    "report_singly": (None, "all"),
    "report_conflict": (None, "all"),
    "report_unknown_id": (None, "all"),
}
PER_MESSAGE = ("refuse_message", "omit_ids")  # at one half, so that a call is met in part


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_comes_to_what_the_ledger_has(fault: str) -> None:
    """A fault without a row above fails here. Not sent: not accepted; answered: each id as it says; what the log
    knows is what was accepted, and when it will not tell, that proves nothing."""
    expected, share = OUTCOMES[fault]
    sent = [OutgoingMessage(f"m{n}", f"+4479007{n:05d}", "Hello") for n in range(20)]
    with running_simulator(**{fault: 0.5 if fault in PER_MESSAGE else 1.0}, undelivered=0, rejected=0) as simulator:
        adapter = simulator.gateway(timeout=0.5)
        error: Exception | None = None
        seen: Seen = {}
        try:
            seen = {name: report.status for name, report in adapter.submit(Submission("b-1", sent)).verdicts.items()}
        except GatewayError as raised:
            error = raised
        accepted = set(simulator.accepted_ids())
        found = simulator.gateway(timeout=5).look_up("b-1")  # the call alone is to be cut short
        posts = simulator.ledger()["posts"]
    assert type(error) is expected if expected else error is None
    assert posts == 1
    assert {"none": not accepted, "some": 0 < len(accepted) < 20, "all": len(accepted) == 20}[share]
    assert {name for name, status in seen.items() if status is MessageStatus.SENT} <= accepted
    assert not accepted & {name for name, status in seen.items() if status is MessageStatus.REJECTED}
    assert found.conclusive is (fault != "log_outage")
    known = {report.message_id for report in found.reports if report.status is not MessageStatus.REJECTED}
    assert known == (accepted if found.conclusive else set())


@pytest.fixture
def registry(db: None) -> Iterator[None]:
    gateways.reset()
    yield
    gateways.reset()


@pytest.mark.usefixtures("registry")
def test_without_a_provider_everything_goes_to_the_simulator(settings: Any) -> None:
    settings.INFOBIP_BASE_URL = ""
    assert gateways.names() == ["simulator"]
    assert gateways.gateway_for("live").name == gateways.gateway_for("test").name == "simulator"
    with pytest.raises(LookupError):
        gateways.get("infobip")


@pytest.mark.usefixtures("registry")
def test_with_a_provider_live_goes_there_and_test_never_does(settings: Any) -> None:
    settings.INFOBIP_BASE_URL, settings.INFOBIP_API_KEY = "abc.api.infobip.com", "key"
    settings.RESEND_UNKNOWN_AFTER = None
    live, test = gateways.gateway_for("live"), gateways.gateway_for("test")
    assert (live.name, test.name) == ("infobip", "simulator")
    assert live is gateways.get("infobip")
    assert live.policy.resend_unknown_after is None
    assert test.policy.resend_unknown_after == settings.SIMULATOR_RESEND_UNKNOWN_AFTER


@pytest.mark.usefixtures("registry")
def test_base_url_that_is_none_is_said_to_be_configured_wrongly(settings: Any) -> None:
    settings.INFOBIP_BASE_URL = "ftp://abc"
    with pytest.raises(ImproperlyConfigured, match="INFOBIP"):
        gateways.gateway_for("live")
