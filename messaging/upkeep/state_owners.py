"""Every state that is not final has an owner and a deadline: somebody moves it on, or somebody is notified.

`task` moves it on and runs on a schedule. Where a person decides there is none: the console shows such rows, and
nothing is lost by waiting.
"""

from dataclasses import dataclass

from campaigns.choices import CampaignStatus
from messaging.choices import AttemptState, BatchState, MessageStatus
from uploads.choices import UploadStatus

A_PERSON = "a person; shown in the console"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who moves a state on.

    `deadline`: the columns or words that say until when. `then`: what happens to a row that is left behind.
    """

    thing: str
    state: str
    owner: str
    deadline: str
    then: str
    task: str = ""


M, A, B, C, U = MessageStatus, AttemptState, BatchState, CampaignStatus, UploadStatus

OWNERS = (
    Owner("message", M.QUEUED.label, "dispatch, by its batch", "campaign.valid_until", "expired", "messaging.sweep"),
    Owner(
        "message",
        M.UNKNOWN.label,
        "look-ups, by the call that carried it",
        "attempt.next_lookup_at",
        "the provider's word; sent again where absence is proof; unconfirmed when its log is over",
        "messaging.reconcile",
    ),
    Owner(
        "message",
        M.SENT.label,
        "the provider's report; the look-up of missing ones",
        "batch.report_check_at, then batch.report_deadline",
        "unconfirmed: no report",
        "messaging.sweep",
    ),
    Owner("attempt", A.OPEN, "the worker that calls", "batch.lease_until", "unknown", "messaging.sweep"),
    Owner("attempt", A.UNKNOWN, "look-ups", "next_lookup_at", "resolved", "messaging.reconcile"),
    Owner(
        "batch",
        B.DEFERRED,
        "the clock, or who stopped its campaign or account",
        "release_at, campaign.valid_until",
        "ready",
        "messaging.sweep",
    ),
    Owner(
        "batch without a gateway",
        B.DEFERRED,
        "routes, which every sweep asks again; shown in the console",
        "NO_ROUTE_HOURS for single sends, campaign.valid_until",
        "ready; single sends fail, a campaign is paused",
        "messaging.sweep",
    ),
    Owner(
        "batch",
        B.READY,
        "dispatch",
        "next_attempt_at, then campaign.valid_until",
        "leased, or done",
        "messaging.dispatch_campaigns",
    ),
    Owner(
        "batch",
        B.LEASED,
        "the worker that holds it",
        "lease_until",
        "ready, or unknown if a call was open; its messages fail after MAX_LEASES in a row",
        "messaging.sweep",
    ),
    Owner(
        "batch",
        B.UNKNOWN,
        "look-ups, by its unknown calls",
        "attempt.next_lookup_at",
        "ready or done",
        "messaging.reconcile",
    ),
    Owner("campaign", C.DRAFT, A_PERSON, "none", "stays"),
    Owner("campaign of a resend", C.DRAFT, "gathering of its recipients", "none", "running", "messaging.fill_resends"),
    Owner("campaign", C.AWAITING_APPROVAL, A_PERSON, "none", "stays"),
    Owner(
        "campaign",
        C.SCHEDULED,
        "the clock",
        "scheduled_at",
        "running; missed if LATE_START_WINDOW is over",
        "campaigns.start_due",
    ),
    Owner(
        "campaign",
        C.RUNNING,
        "expansion, dispatch, and its own counters",
        "valid_until",
        "completed, then closed",
        "messaging.sweep",
    ),
    Owner("campaign", C.PAUSED, A_PERSON, "valid_until", "its messages expire; it stays until it is resumed"),
    Owner("campaign", C.MISSED, A_PERSON, "none", "stays"),
    Owner(
        "first recipients",
        "sending, waiting",
        "the sweep",
        "canary_due_at",
        "the others follow, or it is paused",
        "messaging.sweep",
    ),
    Owner(
        "recurring campaign",
        "active",
        "the clock",
        "next_run_at",
        "a campaign, missed if that is late",
        "campaigns.fire_recurring",
    ),
    Owner("recurring campaign", "paused", A_PERSON, "none", "stays"),
    Owner("alarm", "raised", "the clock", "woken every 10 seconds", "its account is on hold", "accounts.heed_alarms"),
    Owner("upload", U.UPLOADED, "parsing", "woken every 10 seconds", "processing", "uploads.wake"),
    Owner(
        "upload", U.PROCESSING, "the worker that reads it", "lease_until", "read on from its last chunk", "uploads.wake"
    ),
    Owner("report body", "waiting", "applying", "next_attempt_at", "applied", "messaging.apply_reports"),
    Owner(
        "report body",
        "unreadable",
        "applying, at growing intervals; shown in the console",
        "REPORT_INBOX_HOURS",
        "removed, and logged",
        "messaging.purge",
    ),
    Owner(
        "report body",
        "unmatched",
        "matching again",
        "rematch_at, until REPORT_INBOX_HOURS",
        "removed, and logged",
        "messaging.rematch_reports",
    ),
    Owner("installation", "held", A_PERSON, "none", "stays; nothing is sent"),
)
