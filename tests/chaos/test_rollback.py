"""What nobody can know after a machine was put back is told from what was lost."""

from tests.chaos.answers import Request, Told
from tests.chaos.oracle import Entry
from tests.chaos.rollback import is_forgotten

ASKED = Request("/sms/send", ("49151",), Told.ACCEPTED, "202", "bulk", {"49151": "a"})


def test_only_what_was_accepted_and_never_reached_the_provider_is_forgotten():
    taken = Entry("a", "49151", "delivered", 1)
    assert is_forgotten(ASKED, [])
    assert is_forgotten(ASKED, [taken._replace(times_accepted=0), Entry("b", "49152", "delivered", 1)])
    assert not is_forgotten(ASKED, [taken])
    assert not is_forgotten(Request("/sms/send", ("49151",), Told.UNKNOWN, "no answer"), [])
