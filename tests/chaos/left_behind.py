"""What broken and killed calls left behind: how often each kind of misbehaviour reached us."""

from collections import Counter

from messaging.models import Attempt, ReportInbox

BY_DETAIL = {
    "ReadTimeout": "{}_hang",
    "Read": "{}_reset",
    "RemoteProtocol": "{}_reset",
    "The answer cannot": "unreadable_answer",
    "The lease was": "too_late_to_begin",
    "Connect": "not_connected",
}
BY_STATUS = {500: "{}_500", 503: "unavailable_503", 429: "throttle"}
KILLED = "The process that"


def left_behind(accepted_calls: set[str]) -> dict[str, int]:
    """Calls by what became of them, those that went well left out. `accepted_calls`: references the ledger knows."""
    kinds = Counter(_kind_of(attempt, attempt.reference in accepted_calls) for attempt in Attempt.objects.iterator())
    bodies = Counter(bytes(body) for body in ReportInbox.objects.values_list("body", flat=True).iterator())
    kinds["report_repeat"] = sum(count > 1 for count in bodies.values())
    del kinds[""]
    return dict(sorted(kinds.items()))


def _kind_of(attempt: Attempt, is_accepted: bool) -> str:
    prefix = "accept" if is_accepted else "error"
    if attempt.detail.startswith(KILLED):
        return f"killed_in_call_{'accepted' if is_accepted else 'not_accepted'}"
    if attempt.http_status in BY_STATUS:
        return BY_STATUS[attempt.http_status].format(prefix)
    if "missing in the answer" in attempt.detail:
        return "omit_ids"
    kinds = (kind for start, kind in BY_DETAIL.items() if attempt.detail.startswith(start))
    return next(kinds, attempt.detail).format(prefix)
