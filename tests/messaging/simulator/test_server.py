import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from aiohttp.test_utils import make_mocked_request
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from messaging.choices import MessageStatus
from messaging.gateways.base import GatewayError, NotSent, OutgoingMessage, Policy, Refused, Report, Submission, Unknown
from messaging.gateways.infobip import Infobip, request_body
from messaging.simulator import breakage, control
from messaging.simulator.faults import Faults
from messaging.simulator.ledger import Ledger
from messaging.simulator.options import Options
from messaging.simulator.outcomes import SUFFIXES, Kind, Outcome, Outcomes
from messaging.simulator.protocol import read_send, segment_count
from messaging.simulator.sending import Account, Desk
from smsapp.lib import text as text_lib
from tests.support.servers.gateways import report_receiver
from tests.support.servers.simulators import RunningSimulator, running_simulator

M = MessageStatus
KEY = {"Authorization": "App simulator"}
ALL_DELIVERED = {"undelivered": 0, "rejected": 0}


def messages(count: int, prefix: str = "m", suffix: str = "") -> list[OutgoingMessage]:
    numbers = (f"+44790{n:02d}{suffix}" if suffix else f"+4479{n:08d}" for n in range(count))
    return [OutgoingMessage(f"{prefix}{n}", number, "Hello") for n, number in enumerate(numbers)]


def wait_for(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def classify(simulator: RunningSimulator, reference: str, sent: list[OutgoingMessage], timeout: float) -> Any:
    """The class of the outcome, and the reports by id where there was an answer."""
    try:
        answer = simulator.gateway(timeout=timeout).submit(Submission(reference, sent))
    except (NotSent, Unknown) as error:
        return type(error), {}
    return None, answer.verdicts


def check_against_ledger(
    accepted: Counter[str], sent: list[OutgoingMessage], error: type[Exception] | None, reports: dict[str, Report]
) -> None:
    ids = [message.message_id for message in sent]
    if error in (NotSent, Refused):
        assert not any(accepted[name] for name in ids), "called not sent, and yet accepted"
    for name, report in reports.items():
        if report.status is M.SENT:
            assert accepted[name] == 1
        if report.status is M.REJECTED:
            assert accepted[name] == 0
    assert all(accepted[name] <= 1 for name in ids)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("throttle", NotSent),
        ("throttle_with_retry_after", NotSent),
        ("refuse_400", Refused),
        ("refuse_401", Refused),
        ("refuse_403", Refused),
        ("error_500", Unknown),
        ("unavailable_503", Unknown),
        ("redirect_307", Unknown),
        ("reset_before", Unknown),
        ("hang_before", Unknown),
        ("accept_reset", Unknown),
        ("accept_hang", Unknown),
        ("accept_500", Unknown),
        ("truncated_json", Unknown),
        ("cut_body", Unknown),
        ("html_200", Unknown),
        ("slow_drip", Unknown),
        ("refuse_account", None),
        ("refuse_message", None),
        ("omit_ids", None),
        ("reorder_answer", None),
    ],
)
def test_every_fault_is_classified_as_the_ledger_has_it(fault: str, error: type[Exception] | None) -> None:
    with running_simulator(**{fault: 1}, **ALL_DELIVERED) as simulator:
        sent = messages(5)
        seen, reports = classify(simulator, "batch-1", sent, timeout=0.3)
        accepted = Counter(simulator.accepted_ids())
        assert seen is error
        check_against_ledger(accepted, sent, seen, reports)
        is_accepted = fault in (*breakage.AFTER, "omit_ids", "reorder_answer")
        assert accepted.total() == (5 if is_accepted else 0)
        assert simulator.ledger()["posts"] == 1
        if fault == "refuse_account":
            assert all(report.account_refused for report in reports.values())


def test_classifier_agrees_with_the_ledger_when_everything_goes_wrong_at_once() -> None:
    """600 calls, 8 at a time: nothing called not sent was accepted, nothing is posted twice."""
    faults = dict.fromkeys((*breakage.BEFORE, *breakage.AFTER), 0.04) | dict.fromkeys(
        ("hang_before", "accept_hang"), 0.01
    )
    others = {"refuse_account": 0.02, "refuse_message": 0.1, "omit_ids": 0.1, "reorder_answer": 0.2}
    outcomes: list[tuple[list[OutgoingMessage], Any, dict[str, Report]]] = []
    with running_simulator(seed=7, **faults, **others) as simulator:

        def send(part: int) -> None:
            for n in range(75):
                sent = messages(4, f"m{part}-{n}-")
                outcomes.append((sent, *classify(simulator, f"b{part}-{n}", sent, timeout=0.3)))

        threads = [threading.Thread(target=send, args=(part,)) for part in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        accepted = Counter(simulator.accepted_ids())
        ledger = simulator.ledger()
    assert len(outcomes) == 600
    assert ledger["posts"] > 590  # on a busy machine a call may end before the whole of it was received
    assert ledger["repeated_posts"] == ledger["duplicates"] == 0
    for sent, error, reports in outcomes:
        check_against_ledger(accepted, sent, error, reports)
    assert {error for _, error, _ in outcomes} == {None, NotSent, Refused, Unknown}


def test_repeated_id_is_refused_or_accepted_again_as_set() -> None:
    with running_simulator(**ALL_DELIVERED) as simulator:
        adapter = simulator.gateway()
        for reference in ("b1", "b2"):
            answer = adapter.submit(Submission(reference, messages(1)))
        (report,) = answer.reports
        assert report.provider_status == "REJECTED_DUPLICATE_MESSAGE_ID"
        assert (simulator.ledger()["repeats"], simulator.ledger()["duplicates"]) == (1, 0)
        simulator.set_faults(refuse_repeated=0)
        adapter.submit(Submission("b3", messages(1)))
        assert simulator.ledger()["duplicates"] == 1
        assert simulator.accepted_ids() == ["m0", "m0"]


def test_id_that_comes_twice_in_one_call_is_accepted_once() -> None:
    with running_simulator(**ALL_DELIVERED) as simulator:
        answer = simulator.gateway().submit(Submission("b", messages(1) * 2))
        assert answer.accepted == ["m0"]
        assert [report.provider_status for report in answer.reports] == ["REJECTED_DUPLICATE_MESSAGE_ID"]
        assert simulator.accepted_ids() == ["m0"]


def test_number_has_the_same_outcome_for_a_seed_and_shares_are_kept() -> None:
    numbers = [f"4479{n:08d}" for n in range(20_000)]

    def outcomes(seed: int) -> list[Outcome]:
        return list(map(Outcomes(Options(seed=seed, undelivered=0.1, rejected=0.05, silent=0.01)).of, numbers))

    first = outcomes(1)
    assert first == outcomes(1)
    assert first != outcomes(2)
    kinds = Counter(outcome.kind for outcome in first)
    for kind, share in ((Kind.UNDELIVERED, 0.1), (Kind.REJECTED, 0.05), (Kind.SILENT, 0.01), (Kind.DELIVERED, 0.84)):
        assert kinds[kind] / 20_000 == pytest.approx(share, rel=0.2)


def desk(**faults: float) -> tuple[Desk, Account]:
    options, rules = Options(balance=8.0), Faults(1, faults)
    ledger = Ledger()
    account = Account(options, ledger)
    return Desk(options, ledger, rules, account), account


def test_deciding_one_by_one_and_all_at_once_is_the_same() -> None:
    """A fault that is set but as good as never comes about makes the simulator look at each message."""
    (at_once, left), (one_by_one, also_left) = desk(), desk(refuse_message=1e-300)
    for reference in ("a", "b", "c", "d"):  # the credit runs out in the third
        sent = [
            OutgoingMessage(f"{reference}{n}", f"+4479{n:08d}" if n % 20 else f"+4479009999{n % 13 + 1:02d}", "Hi")
            for n in range(70)
        ]
        body = request_body(Submission(reference, [*sent, *sent[:3]] if reference == "b" else sent))
        calls, answer = at_once.accept(read_send(body))
        same_calls, same_answer = one_by_one.accept(read_send(body))
        assert orjson.dumps(answer) == orjson.dumps(same_answer)
        assert [(call.ids, call.outcomes) for call in calls] == [(call.ids, call.outcomes) for call in same_calls]
        assert left.balance == also_left.balance


def post(simulator: RunningSimulator, *entries: dict[str, Any], reference: str = "b") -> Any:
    """Messages as a customer of the provider might write them; the answer, or the error's body."""
    body = {"messages": entries, "options": {"schedule": {"bulkId": reference}}}
    return httpx2.post(f"{simulator.url}/sms/3/messages", json=body, headers=KEY, trust_env=False).json()


def entry(name: str, **others: Any) -> dict[str, Any]:
    destinations = [{"to": "447900000001", "messageId": name}]
    return {"sender": "A", "content": {"text": "Hi"}, "destinations": destinations} | others


def test_messages_of_one_call_may_differ_in_sender_and_report_url(receiver: Any) -> None:
    webhooks = {"delivery": {"url": receiver.url}, "callbackData": "mine"}
    sent = [entry("m0", webhooks=webhooks), entry("m1", sender="B"), entry("m2", webhooks=webhooks), entry("m3")]
    with running_simulator(report_delay_ms=0, **ALL_DELIVERED) as simulator:
        answer = post(simulator, *sent)
        simulator.flush()
        assert [message["messageId"] for message in answer["messages"]] == ["m0", "m1", "m2", "m3"]
        assert {message["id"]: message["sender"] for message in simulator.messages()} == {
            "m0": "A",
            "m1": "B",
            "m2": "A",
            "m3": "A",
        }
        assert {(result["messageId"], result["callbackData"]) for result in receiver.results()} == {
            ("m0", "mine"),
            ("m2", "mine"),
        }
        assert simulator.ledger()["accepted"] == 4


def test_every_property_that_is_wrong_is_named() -> None:
    with running_simulator() as simulator:
        refused = post(simulator, entry("m0"), entry("m1", sender=1), entry("m2", sender=1), entry("m3" * 101))
        assert [violation["property"] for violation in refused["violations"]] == [
            "messages[1].sender",
            "messages[2].sender",
            "messages[3].destinations[0].messageId",
        ]
        assert simulator.ledger()["accepted"] == 0


def test_stages_of_a_message_come_in_their_order_unless_reordered(receiver: Any) -> None:
    webhooks = {"delivery": {"url": receiver.url, "intermediateReport": True}}
    with running_simulator(report_delay_ms=0, **ALL_DELIVERED) as simulator:

        def pushed(prefix: str) -> list[tuple[str, str]]:
            receiver.bodies.clear()
            post(simulator, *(entry(f"{prefix}{n}", webhooks=webhooks) for n in range(30)), reference=prefix)
            simulator.flush()
            return [(result["messageId"][1:], result["status"]["name"]) for result in receiver.results()]

        stages = ("DELIVERED_TO_OPERATOR", "DELIVERED_TO_HANDSET")
        in_order = [(str(n), stage) for n in range(30) for stage in stages]
        assert pushed("a") == in_order
        simulator.set_faults(report_reorder=1)
        shuffled = pushed("b")
        assert sorted(shuffled) == sorted(in_order)
        assert any(shuffled.index((str(n), stages[1])) < shuffled.index((str(n), stages[0])) for n in range(30))


def test_reports_are_pulled_once_each_however_they_are_asked_for() -> None:
    with running_simulator(report_delay_ms=0, **ALL_DELIVERED) as simulator:
        for reference in ("a", "b"):
            simulator.gateway().submit(Submission(reference, messages(5, reference)))
        simulator.flush()

        def pulled(query: str) -> list[str]:
            answer = httpx2.get(f"{simulator.url}/sms/3/reports?{query}", headers=KEY, trust_env=False)
            return [result["messageId"] for result in answer.json()["results"]]

        assert pulled("messageId=b3") == ["b3"]
        assert pulled("limit=2") == ["a0", "a1"]
        assert pulled("limit=2&bulkId=b") == ["b0", "b1"]
        assert pulled("") == ["a2", "a3", "a4", "b2", "b4"]
        assert pulled("") == []
        assert simulator.ledger()["reported"] == 10


def test_figures_of_the_ledger_are_those_of_its_messages(receiver: Any) -> None:
    faults = {"refuse_message": 0.2, "report_never": 0.2, "report_repeat": 0.5, "report_conflict": 0.3}
    with running_simulator(seed=3, report_delay_ms=0, refuse_repeated=0, undelivered=0.3, **faults) as simulator:
        for reference in ("a", "b", "a"):  # the last repeats the first
            sent = [OutgoingMessage(f"{reference}{n}", f"+4479{n:08d}", "Hi" * (1 + n)) for n in range(200)]
            simulator.gateway().submit(Submission(reference, [*sent, sent[7]], report_url=receiver.url))
        simulator.flush()
        found, figures = simulator.messages(), simulator.ledger()
    assert len(found) == len({message["id"] for message in found}) == 400
    kinds = Counter(message["kind"] for message in found)
    accepted = [message for message in found if message["kind"] != "rejected"]
    assert {kind: figures[kind] for kind in kinds} == kinds
    assert figures["accepted"] == len(accepted)
    assert figures["segments"] == sum(message["segments"] for message in accepted)
    assert figures["reported"] == sum(message["is_reported"] for message in found) > 0
    assert figures["duplicates"] == 201


def test_suffixes_force_outcomes_from_answer_to_report() -> None:
    finals = {Kind.DELIVERED: M.DELIVERED, Kind.UNDELIVERED: M.UNDELIVERED}
    with running_simulator(report_delay_ms=0) as simulator:
        adapter = simulator.gateway()
        sent = [OutgoingMessage(outcome.name, f"+447900{digits}", "Hi") for digits, outcome in SUFFIXES.items()]
        answered = adapter.submit(Submission("b", sent)).verdicts
        simulator.flush()
        body = adapter.poll_reports(1000)
        assert body is not None
        reported = {report.message_id: report.status for report in adapter.parse_reports(body)}
    for outcome in SUFFIXES.values():
        assert answered[outcome.name].status is (M.SENT if outcome.accepted else M.REJECTED)
        if outcome.name in ("late_refusal", "late_no_credit"):
            assert reported.pop(outcome.name) is M.REJECTED
        elif outcome.name == "no_receipt":
            assert reported.pop(outcome.name) is M.UNCONFIRMED
        elif outcome.name == "operator_only":
            assert reported.pop(outcome.name) is M.SENT
        else:
            assert reported.pop(outcome.name, None) is finals.get(outcome.kind)
    assert reported == {}


def test_what_is_no_number_is_refused_alone() -> None:
    with running_simulator(**ALL_DELIVERED) as simulator:
        sent = [OutgoingMessage("m1", "+44 7900", "Hi"), OutgoingMessage("m2", "+447900000001", "Hi")]
        answer = simulator.gateway().submit(Submission("b", sent))
    assert {name: report.status for name, report in answer.verdicts.items()} == {"m1": M.REJECTED, "m2": M.SENT}


def test_credit_runs_out_for_the_rest_and_their_ids_may_come_again() -> None:
    with running_simulator(balance=0.1, **ALL_DELIVERED) as simulator:
        adapter = simulator.gateway()
        answer = adapter.submit(Submission("b1", messages(5)))
        assert (answer.accepted, len(answer.reports)) == (["m0", "m1"], 3)
        assert all(report.account_refused for report in answer.reports)
        simulator.simulator.account.charge(-1_000_000)
        again = adapter.submit(Submission("b2", messages(5)[2:]))
        assert again.accepted == ["m2", "m3", "m4"]
        assert simulator.ledger()["duplicates"] == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the pair does not fit into the first segment
        ("я" * 70, 1),
        ("я" * 71, 2),
        ("я" * 134, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 67, 3),  # 33 pairs to a segment, not 33.5
    ],
)
def test_segments_are_counted_as_they_are_billed(text: str, count: int) -> None:
    assert segment_count(text) == count


@given(st.text(alphabet="ab€[я😀ñ\n`ç", max_size=400))
def test_simulator_bills_what_the_platform_counts(text: str) -> None:
    assert segment_count(text) == text_lib.segment_count(text)


@pytest.fixture
def receiver() -> Iterator[Any]:
    with report_receiver() as running:
        yield running


def send_with_reports(simulator: RunningSimulator, url: str, count: int = 250, reference: str = "b") -> None:
    simulator.gateway().submit(Submission(reference, messages(count, reference), report_url=url))


def test_reports_are_pushed_in_buckets_once_each(receiver: Any) -> None:
    with running_simulator(bucket=100, report_delay_ms=0, **ALL_DELIVERED) as simulator:
        send_with_reports(simulator, receiver.url)
        wait_for(lambda: simulator.ledger()["reported"] == 250)
    assert Counter(receiver.ids()) == Counter(f"b{n}" for n in range(250))
    assert max(len(orjson.loads(body)["results"]) for body in receiver.bodies) <= 100
    assert len(receiver.bodies) < 10


def test_push_that_is_not_taken_is_tried_again_at_growing_distances() -> None:
    options = {"report_delay_ms": 0, "time_scale": 0.001}
    with report_receiver(500, 503, 500) as receiver, running_simulator(**options, **ALL_DELIVERED) as simulator:
        started = time.monotonic()
        send_with_reports(simulator, receiver.url, count=1)
        wait_for(lambda: simulator.ledger()["reported"] == 1)
        assert time.monotonic() - started > 0.06 * (1 + 2 + 5)
    assert receiver.ids() == ["b0"] * 4


def test_reports_follow_their_faults(receiver: Any) -> None:
    with running_simulator(report_delay_ms=0, bucket=1000, **ALL_DELIVERED) as simulator:

        def pushed(reference: str, **faults: float) -> list[dict[str, Any]]:
            simulator.set_faults(**faults)
            receiver.bodies.clear()
            send_with_reports(simulator, receiver.url, 20, reference)
            simulator.flush()
            return receiver.results()

        order = [f"a{n}" for n in range(20)]
        assert [result["messageId"] for result in pushed("a")] == order
        shuffled = [result["messageId"] for result in pushed("b", report_reorder=1)]
        assert sorted(shuffled) == sorted(name.replace("a", "b") for name in order)
        assert shuffled != [name.replace("a", "b") for name in order]
        assert Counter(result["messageId"] for result in pushed("c", report_repeat=1))["c7"] == 3
        assert pushed("d", report_never=1) == []
        assert any(result["messageId"].startswith("nobody-") for result in pushed("e", report_unknown_id=1))
        contrary = [result for result in pushed("f", report_conflict=1) if result["messageId"] == "f7"]
        assert {result["status"]["groupName"] for result in contrary} == {"DELIVERED", "EXPIRED"}
        contradicted = {message["id"] for message in simulator.messages() if message["is_contradicted"]}
        assert contradicted == {f"f{n}" for n in range(20)}


def test_early_report_comes_before_the_answer(receiver: Any) -> None:
    with running_simulator(report_early=1, accept_hang=1, **ALL_DELIVERED) as simulator:
        with pytest.raises(Unknown):
            simulator.gateway(timeout=0.5).submit(Submission("b", messages(3), report_url=receiver.url))
        assert sorted(receiver.ids()) == ["m0", "m1", "m2"]


def test_reports_are_pushed_to_this_machine_only_and_else_wait_to_be_pulled(caplog: pytest.LogCaptureFixture) -> None:
    with running_simulator(report_delay_ms=0, **ALL_DELIVERED) as simulator:
        adapter = simulator.gateway()
        for n, url in enumerate(["http://192.0.2.1/x", "http://provider.invalid/x", "http://127.0.0.1.invalid/x"]):
            adapter.submit(Submission(f"b{n}", messages(1, f"b{n}"), report_url=url))
        simulator.flush()
        body = adapter.poll_reports(1000)
        assert body is not None
        assert len(adapter.parse_reports(body)) == 3
    assert "192.0.2.1" in caplog.text


def test_log_lags_fails_and_limits_as_set() -> None:
    with running_simulator(log_lag=60, **ALL_DELIVERED) as simulator:
        adapter = simulator.gateway()
        adapter.submit(Submission("b", messages(2)))
        assert adapter.look_up("b").reports == []
        simulator.set_faults(log_lag=0)
        assert len(adapter.look_up("b").reports) == 2
        simulator.set_faults(log_outage=1)
        assert not adapter.look_up("b").conclusive
        simulator.set_faults(log_limit=5)
        found = [adapter.look_up("b").conclusive for _ in range(6)]
        assert found[-1] is False


def test_log_shows_a_message_under_way_until_its_outcome_is_there() -> None:
    with running_simulator(report_delay_ms=300, **ALL_DELIVERED) as simulator:
        adapter = simulator.gateway()
        adapter.submit(Submission("b", messages(1)))
        assert adapter.look_up("b").reports[0].status is M.SENT
        wait_for(lambda: adapter.look_up("b").reports[0].status is M.DELIVERED)


def test_call_is_on_disk_before_it_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with running_simulator(ledger=path, accept_hang=1, **ALL_DELIVERED) as simulator:
        with pytest.raises(Unknown):
            simulator.gateway(timeout=0.2).submit(Submission("b", messages(2)))
        (line,) = path.read_bytes().splitlines()
    assert [entry[:3] for entry in orjson.loads(line)["messages"]] == [
        ["m0", "447900000000", "delivered"],
        ["m1", "447900000001", "delivered"],
    ]


def test_answer_waits_for_the_disk_and_what_it_refuses_is_not_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with running_simulator(ledger=tmp_path / "ledger.jsonl", **ALL_DELIVERED) as simulator:
        monkeypatch.setattr(os, "fsync", lambda descriptor: time.sleep(0.3))
        started = time.monotonic()
        simulator.gateway().submit(Submission("a", messages(1, "a")))
        assert time.monotonic() - started > 0.3
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(Unknown, match="HTTP 500"):
            simulator.gateway().submit(Submission("b", messages(1, "b")))
        monkeypatch.undo()
        assert simulator.accepted_ids() == ["a0"]
    with running_simulator(ledger=tmp_path / "ledger.jsonl") as again:
        assert again.accepted_ids() == ["a0"]


def test_restarted_simulator_knows_its_ids_and_sends_the_reports_still_due(tmp_path: Path, receiver: Any) -> None:
    path = tmp_path / "ledger.jsonl"
    with running_simulator(ledger=path, report_delay_ms=0, **ALL_DELIVERED) as simulator:
        send_with_reports(simulator, receiver.url, 3, "a")
        wait_for(lambda: simulator.ledger()["reported"] == 3)
        simulator.set_faults(report_delay_ms=60_000)
        send_with_reports(simulator, receiver.url, 2, "b")
        before = simulator.ledger()
    with path.open("ab") as file:
        file.write(b'{"at":1,"bulkId":"torn","messages":[["x"')
    receiver.bodies.clear()
    with running_simulator(ledger=path) as simulator:
        after = simulator.ledger()
        assert {name: after[name] for name in ("accepted", "delivered", "reported", "segments")} == {
            name: before[name] for name in ("accepted", "delivered", "reported", "segments")
        }
        (report,) = simulator.gateway().submit(Submission("c", messages(1, "a"))).reports
        assert report.provider_status == "REJECTED_DUPLICATE_MESSAGE_ID"
        simulator.flush()
        assert receiver.ids() == ["b0", "b1"]


def test_unknown_fault_or_bad_value_is_refused_and_changes_nothing() -> None:
    with running_simulator(throttle=1) as simulator:
        for values in ({"no_such": 1}, {"throttle": 0, "omit_ids": 2}, {"omit_ids": "x"}, {"latency_ms": -1}):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                simulator.set_faults(**values)
        with pytest.raises(NotSent):
            simulator.gateway().submit(Submission("b", messages(1)))


def test_faults_that_came_about_are_counted_whatever_is_set_meanwhile() -> None:
    with running_simulator(**ALL_DELIVERED) as simulator:
        simulator.gateway().submit(Submission("a", messages(2, "a")))
        for faults in ({"throttle": 1}, {"accept_500": 1, "report_never": 1}, {}):
            simulator.set_faults(**faults)
            with contextlib.suppress(GatewayError):
                simulator.gateway().submit(Submission("b", messages(3, "b")))
        assert simulator.fired() == {"accept_500": 1, "report_never": 3, "throttle": 1}


def test_control_is_open_to_this_machine_only_save_for_health() -> None:
    class Peer:
        def __init__(self, address: str) -> None:
            self.address = address

        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return (self.address, 1) if name == "peername" else default

        def is_closing(self) -> bool:
            return False

    def asked(path: str, address: str) -> bool:
        return control.is_open(make_mocked_request("GET", path, transport=Peer(address)))

    assert asked("/simulator/ledger", "127.0.0.1")
    assert not asked("/simulator/ledger", "192.0.2.1")
    assert asked("/simulator/health", "192.0.2.1")
    assert not asked("/sms/3/logs", "127.0.0.1")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An installation whose database cannot be reached."""
    broken = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    return os.environ | broken | {"VAR_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "smsapp.settings.base"}


def simulator_command(environment: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "simulator", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_command_runs_beside_a_broken_installation_and_stops_at_once(
    environment: dict[str, str], tmp_path: Path, stop: signal.Signals
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with simulator_command(environment, "--port=0", f"--ledger={ledger}", "--fault=accept_hang=1") as process:
        try:
            assert process.stdout is not None
            ready = re.fullmatch(r"simulator ready at (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
            assert ready
            policy = Policy(max_batch=1000, lookup_grace=1.0)
            adapter = Infobip(base_url=ready[1], api_key="simulator", policy=policy, timeout=0.3)
            with pytest.raises(Unknown):
                adapter.submit(Submission("b", messages(1)))
            process.send_signal(stop)
            started = time.monotonic()
            assert process.wait(10) == 0
            assert time.monotonic() - started < 3  # a second of its own, the rest for a busy machine
        finally:
            process.kill()
    assert b'"m0"' in ledger.read_bytes()


@pytest.mark.parametrize("argument", ["--fault=no_such=1", "--fault=throttle", "--bucket=0", "--rejected=2"])
def test_command_says_what_is_wrong_with_its_arguments(environment: dict[str, str], argument: str) -> None:
    with simulator_command(environment, "--port=0", argument) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors.startswith("CommandError")
    assert "Traceback" not in errors
