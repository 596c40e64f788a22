"""Query parameters that say which sends messages and reports belong to."""

from collections.abc import Mapping
from typing import Any

from reports.selectors.send_filter import SendFilter
from smsapp.api.query_params import moment, text

OF_SEND = (
    text("bulk_id", "Of one campaign or send."),
    text("client_reference", "Of one campaign or send, by your own name for it."),
)
SENT_IN = (
    moment("created_after", "When its send, or the draft of it, was made: from then on, e.g. `2027-06-17T18:00:00Z`."),
    moment("created_before", "When its send, or the draft of it, was made: before then, with zone."),
)


def send_filter(query: Mapping[str, Any]) -> SendFilter:
    """Of a query with OF_SEND and SENT_IN."""
    return SendFilter(
        bulk_id=query["bulk_id"] or "",
        client_reference=query["client_reference"] or "",
        created_after=query["created_after"],
        created_before=query["created_before"],
    )
