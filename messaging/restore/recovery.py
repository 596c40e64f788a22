"""Messages sent in the time that the database has forgotten are recovered from the provider's log.

A call's reference names account, mode and campaign beside the batch (`ids.CallName`). So a message whose row is gone
gets one again, under its own id, in a campaign of the same public id, with what the provider says about it: whoever was
answered 202 then finds it, and its reports find it. The text is the log's. Nothing is charged: the ledger has forgotten
the charge together with the message. What cannot be assigned is listed. What had not reached a provider yet is lost.

A message that still has its row may have got its report in that time, and the report will not come again: what the log
says about it is a fact from a look-up. The log covers what was sent since; what was sent before is looked up call by
call, as any missing report (`missing_reports.py`), at once.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts.models import Account, User
from accounts.system_state import SystemState, object_of
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from messaging.choices import AttemptState, BatchState, FactSource, Lane
from messaging.gateways.base import LogEntry
from messaging.ids import CallName, batch_of, parse_public_id, read_call_name
from messaging.models import Attempt, Batch, Message
from messaging.outcomes import settlement
from messaging.routing import router
from messaging.storage import message_rows
from smsapp.core import clock
from smsapp.lib.phone import mask
from smsapp.lib.text import segment_count
from uploads.choices import AudienceSource
from uploads.models import Audience

KEY = "recovered_messages"
RECENT_CALLS = 20_000  # newest batches; their gateways may have carried the forgotten ones, too
LISTED = 500
NAME = "Recovered after a restore"
RECOVERED = "Taken in from the provider's log after a restore."
TEXT = "{text|(the provider keeps no text)}"


@dataclass(slots=True)
class Found:
    """What was recovered.

    `placed`: messages by the name of their account. `unplaced`: by message id, what is known and why it is nobody's.
    `untold`: gateways that cannot say what they got, in words.
    """

    placed: dict[str, int] = field(default_factory=dict)
    unplaced: dict[str, str] = field(default_factory=dict)
    unplaced_count: int = 0
    untold: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.placed.values())

    @property
    def is_empty(self) -> bool:
        return not (self.placed or self.unplaced or self.untold)

    def add_unplaced(self, entry: LogEntry, why: str) -> None:
        message_id, moment = entry.report.message_id, f"{entry.sent_at:%Y-%m-%d %H:%M:%S} UTC" if entry.sent_at else "?"
        if message_id in self.unplaced:
            return
        self.unplaced_count += 1
        if len(self.unplaced) < LISTED:
            self.unplaced[message_id] = f"{moment}, to {mask(entry.phone_number)}: {why}"


#: What the last release found.
REPORT = SystemState(
    KEY,
    "What the last release of a restored database found at the providers that the database did not know.",
    load=lambda text: Found(**object_of(text)),
    dump=lambda found: json.dumps(asdict(found)),
)


def gateways_used() -> list[str]:
    """Return gateways that may have carried messages in the forgotten time."""
    recent = Attempt.objects.order_by("-pk").values_list("gateway", flat=True)[:RECENT_CALLS]
    return sorted({*router.live_gateways(), *recent})


def recover_messages(gateway: str, entries: Iterable[LogEntry], known_until: datetime) -> None:
    """Store messages of ours that have no row, and apply the outcome of the others. Safe to repeat.

    `known_until`: how far our data reach. Accounts created later are others than earlier ones with the same number.
    """
    known, unknown = _ours(entries)
    settlement.apply(settlement.facts_from([entry.report for entry in known], FactSource.LOOKUP)[0])
    found = REPORT.get()
    groups: dict[CallName, list[LogEntry]] = defaultdict(list)
    for entry in unknown:
        name = read_call_name(entry.report.reference)
        if entry.report.account_refused:
            found.add_unplaced(entry, "The provider refused it for our account's sake; it was not sent.")
        elif name is None or not name.account_id:
            found.add_unplaced(entry, "Its call does not say whose it is.")
        else:
            groups[name._replace(batch_id=0, ordinal=0)].append(entry)
    for name, members in groups.items():
        account = Account.objects.filter(pk=name.account_id, created_at__lte=known_until).first()
        user = _somebody(account) if account else None
        if account is None or user is None:
            for entry in members:
                found.add_unplaced(entry, "Its account is not known any more, or has no member.")
        else:
            count = _store_entries(gateway, account, user, name, members)
            found.placed[account.name] = found.placed.get(account.name, 0) + count
    REPORT.put(found)


def _ours(entries: Iterable[LogEntry]) -> tuple[list[LogEntry], list[LogEntry]]:
    """Return the entries whose messages have rows, and those without."""
    ours = [
        (message_pk, entry) for entry in entries if (message_pk := parse_public_id(entry.report.message_id)) is not None
    ]
    rows = message_rows.read_messages({message_pk for message_pk, _ in ours})
    return [entry for message_pk, entry in ours if message_pk in rows], [
        entry for message_pk, entry in ours if message_pk not in rows
    ]


def _somebody(account: Account) -> User | None:
    member = account.memberships.select_related("user").order_by("pk").first()
    return member.user if member else None


def _store_entries(gateway: str, account: Account, user: User, name: CallName, entries: Sequence[LogEntry]) -> int:
    """Store the messages of one campaign. Return their number."""
    by_pk: dict[int, LogEntry] = {}
    for entry in entries:
        message_pk = parse_public_id(entry.report.message_id)
        assert message_pk is not None
        by_pk.setdefault(message_pk, entry)
    now = clock.now()
    with transaction.atomic():
        campaign = _campaign(account, user, name, entries[0], now)
        _make_batches(campaign, gateway, by_pk, now)
        first_row = campaign.total_recipients + 1
        Message.objects.bulk_create(
            [
                _message(campaign, first_row + index, message_pk, entry)
                for index, (message_pk, entry) in enumerate(sorted(by_pk.items()))
            ]
        )
        counts = {"queued": F("queued") + len(by_pk), "total_recipients": F("total_recipients") + len(by_pk)}
        Campaign.objects.filter(pk=campaign.pk).update(**counts)
        facts, _ = settlement.facts_from([entry.report for entry in entries], FactSource.LOOKUP)
        settlement.apply(facts)
    return len(by_pk)


def _campaign(account: Account, user: User, name: CallName, entry: LogEntry, now: datetime) -> Campaign:
    """Return the lost campaign under its public id; beside one that still exists, another one."""
    beside = f"bulk-r{name.bulk_id[-19:]}"
    known = {row.bulk_id: row for row in Campaign.objects.filter(bulk_id__in=(name.bulk_id, beside), account=account)}
    for bulk_id in (name.bulk_id, beside):
        if bulk_id not in known:
            break
        if known[bulk_id].status_detail == RECOVERED:
            return known[bulk_id]
    audience = Audience.objects.create(account=account, source=AudienceSource.REQUEST, columns=["text"])
    return Campaign.objects.create(
        account=account,
        user=user,
        kind=CampaignKind.SINGLE,
        mode=name.mode,
        bulk_id=bulk_id,
        name=NAME,
        message=TEXT,
        sender_id=entry.sender,
        audience=audience,
        status=CampaignStatus.RUNNING,
        status_detail=RECOVERED,
        started_at=now,
    )


def _message(campaign: Campaign, row: int, message_pk: int, entry: LogEntry) -> Message:
    return Message(
        id=message_pk,
        campaign=campaign,
        row=row,
        phone_number=entry.phone_number,
        variables=orjson.dumps([entry.text]).decode(),
        segment_count=entry.report.segment_count or segment_count(entry.text) or 1,
    )


def _make_batches(campaign: Campaign, gateway: str, by_pk: dict[int, LogEntry], now: datetime) -> None:
    """Store batches with their calls. One made by another part of the log, or another gateway's, grows."""
    message_pks: dict[int, list[int]] = defaultdict(list)
    for message_pk in sorted(by_pk):
        message_pks[batch_of(message_pk)].append(message_pk)
    existing = set(
        Batch.objects.filter(pk__in=message_pks).order_by("pk").select_for_update().values_list("pk", flat=True)
    )
    chunk = Batch.objects.filter(campaign=campaign).count()
    deadline = now + timedelta(hours=settings.REPORT_DEADLINE_HOURS)
    for pk, members in sorted(message_pks.items()):
        if pk in existing:
            Batch.objects.filter(pk=pk).update(size=F("size") + len(members), queued=F("queued") + len(members))
            continue
        Batch.objects.create(
            pk=pk,
            account_id=campaign.account_id,
            campaign=campaign,
            chunk=chunk,
            part=0,
            mode=campaign.mode,
            lane=Lane.SINGLES,
            turn=0,
            size=len(members),
            queued=len(members),
            gateway=gateway,
            state=BatchState.READY,
            next_attempt_at=now,
            report_check_at=now,
            report_deadline=deadline,
            route_note=RECOVERED,
        )
        chunk += 1
    settlement.write_statistics({pk: {"queued": len(members)} for pk, members in message_pks.items()}, {})
    _make_calls(gateway, message_pks, by_pk, now)


def _make_calls(gateway: str, message_pks: dict[int, list[int]], by_pk: dict[int, LogEntry], now: datetime) -> None:
    """Store the calls by which missing reports are looked up."""
    carried: dict[tuple[int, str], list[int]] = defaultdict(list)
    for pk, members in message_pks.items():
        for message_pk in members:
            carried[pk, by_pk[message_pk].report.reference].append(message_pk)
    calls = [
        Attempt(
            batch_id=pk,
            gateway=gateway,
            reference=reference,
            epoch=0,
            first=members[0],
            last=members[-1],
            message_count=len(members),
            started_at=by_pk[members[0]].sent_at or now,
            deadline=now,
            finished_at=now,
            state=AttemptState.RESOLVED,
            detail=RECOVERED,
        )
        for (pk, reference), members in carried.items()
    ]
    Attempt.objects.bulk_create(calls, ignore_conflicts=True)
