"""The ledger says the same whether it is asked for or read from its file."""

import contextlib
from pathlib import Path

from messaging.gateways.base import GatewayError, OutgoingMessage, Submission
from tests.chaos.ledger import ask_for_ledger, read_ledger
from tests.chaos.oracle import Entry
from tests.chaos.roads import summed
from tests.support.servers.simulators import running_simulator


def test_the_file_says_what_the_simulator_says(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with running_simulator(ledger=path, rejected=0.2, refuse_repeated=0, accept_500=0.5) as simulator:
        for call in ("a", "b", "a"):  # ids of the first come again
            numbers = [f"+44790000{call}{n:03}".replace("a", "1").replace("b", "2") for n in range(20)]
            messages = [OutgoingMessage(f"{call}{n}", number, "Hello") for n, number in enumerate(numbers)]
            with contextlib.suppress(GatewayError):
                simulator.gateway().submit(Submission(f"call-{call}", messages))
        asked = ask_for_ledger(simulator.url)
        read = read_ledger(path)
        with path.open("ab") as file:
            file.write(b'{"at":1,"bulkId":"torn","messages":[["x"')
        assert read_ledger(path) == read == asked
    assert read.calls == {"call-a", "call-b"}
    assert {entry.times_accepted for entry in read.entries} == {0, 1, 2}
    assert {entry.kind for entry in read.entries} >= {"delivered", "rejected"}


def test_what_two_providers_accepted_is_accepted_twice() -> None:
    here, there = Entry("a", "49", "delivered", 1), Entry("a", "49", "delivered", 1, is_reported=True)
    refused, alone = Entry("b", "49", "rejected", 0), Entry("c", "49", "silent", 1)
    found = {entry.message_id: entry for entry in summed([here, refused, there, alone, Entry("b", "49", "silent", 1)])}
    assert (found["a"].times_accepted, found["a"].is_reported) == (2, True)
    assert (found["b"].times_accepted, found["b"].kind) == (1, "silent")
    assert found["c"] == alone
