"""Counts what a campaign would send, recipient by recipient, with every text made as it will be sent.

The count is kept on the campaign with a checksum of what it was made from. Counting walks the audience's chunks in
slices of time and goes on where the last slice ended. A lost slice costs its own time only, and whoever asks next
enqueues it again.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

import orjson
from django.conf import settings
from django.db import transaction

from accounts.billing.prices import PriceList
from accounts.choices import Mode
from accounts.models import Account
from campaigns.approval import audience_hash
from campaigns.models import Campaign
from campaigns.scheduling.quiet_hours import quiet_of
from campaigns.texts.renderers import renderer_of
from campaigns.texts.rendering import Renderer
from messaging.choices import Reason
from messaging.message_text import Unfit, fit_text
from messaging.routing.router import Router
from smsapp.core import clock
from smsapp.core.budget import Budget
from smsapp.core.enqueue import enqueue
from smsapp.lib.phone import country_of
from smsapp.lib.text import encoding_of, segment_count
from uploads.chunks import Recipients, unpack_body, unpack_refused
from uploads.models import AudienceChunk
from uploads.suppressions import suppressed_among

TASK = "messaging.preflight"
AT_ONCE = 20_000  # recipients up to which the request counts, rather than a task
IN_REQUEST = 3.0  # most seconds that a request counts
FRESH_FOR = timedelta(minutes=10)  # after which a count is made anew: prices and opt-outs change


@dataclass(slots=True)
class Count:
    """What was counted so far, of the first `chunks` chunks.

    `made_of`: see `_made_of`. `countries`: recipients, segments and price in millionths by ISO code. `removed`:
    recipients and rows without a message, by RowReason or Reason. `quiet`: recipients with quiet hours, by hours and
    zones as `Locality.name` says them.
    """

    made_of: str
    chunks: int = 0
    counted_at: str = ""
    recipients: int = 0
    segments: int = 0
    price_micro: int = 0
    unpriced: int = 0
    roadless: int = 0  # recipients without a route; the name is stored
    countries: dict[str, list[int]] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    quiet: dict[str, int] = field(default_factory=dict)
    encodings: dict[str, int] = field(default_factory=dict)
    longest_length: int = 0
    longest_segments: int = 0
    longest_row: int = 0

    def is_complete(self, campaign: Campaign) -> bool:
        return self.chunks >= campaign.chunk_count


def counted(campaign: Campaign) -> Count:
    """Return the current count, begun anew for another text or other recipients, or after ten minutes.

    Up to 20,000 recipients it is complete, unless that takes longer than a request may; else a task goes on.
    """
    count = _going_on(campaign)
    is_old = count and count.counted_at and datetime.fromisoformat(count.counted_at) < clock.about_now() - FRESH_FOR
    if count is None or is_old:
        count = Count(_made_of(campaign) + _quiet_hours_hash(campaign))
        _store(campaign.pk, count, after=None)
    if not count.is_complete(campaign) and campaign.total_recipients <= AT_ONCE:
        count = _count_on(campaign, count, Budget(IN_REQUEST))
    if not count.is_complete(campaign):
        enqueue(TASK, campaign.pk)
    return count


def last_count(campaign: Campaign) -> Count | None:
    """Return the last count, however old, of this text and these recipients, whatever the quiet hours were."""
    count = _read(campaign)
    return count if count is not None and count.made_of.startswith(_made_of(campaign)) else None


def _going_on(campaign: Campaign) -> Count | None:
    """Return the last count if it can be continued: the quiet hours are the same, too."""
    count = last_count(campaign)
    return count if count is not None and count.made_of.endswith(_quiet_hours_hash(campaign)) else None


def count_slice(campaign_id: int) -> int:
    """Go on counting for TASK_BUDGET seconds. Return the number of chunks; none if the campaign was changed."""
    campaign = Campaign.objects.select_related("account", "audience").filter(pk=campaign_id).first()
    count = _going_on(campaign) if campaign else None
    if campaign is None or count is None or count.is_complete(campaign):
        return 0
    before = count.chunks
    count = _count_on(campaign, count, Budget(settings.TASK_BUDGET))
    if not count.is_complete(campaign):
        enqueue(TASK, campaign.pk)
    return count.chunks - before


def _count_on(campaign: Campaign, count: Count, budget: Budget) -> Count:
    """Count chunk after chunk within the budget, one at least, and store how far it is."""
    after = count.chunks
    renderer = renderer_of(campaign.kind, campaign.message, campaign.audience.columns)
    prices = PriceList.of(campaign.account) if campaign.mode == Mode.LIVE else None
    router = Router(campaign.account_id, campaign.sender_id, campaign.mode)
    quiet = quiet_of(campaign)
    while not count.is_complete(campaign) and (count.chunks == after or not budget.is_over):
        chunk = AudienceChunk.objects.get(audience=campaign.audience_id, number=count.chunks)
        for refused in unpack_refused(chunk.refused):
            _add(count.removed, refused.reason)
        recipients = unpack_body(chunk.body)
        _count_recipients(count, campaign.account, recipients, renderer, prices)
        count.roadless += _unrouted_among(router, recipients.phones)
        for locality in quiet.localities_of(recipients.phones):
            _add(count.quiet, locality.name)
        count.chunks += 1
    if count.is_complete(campaign):
        count.counted_at = clock.about_now().isoformat()
    _store(campaign.pk, count, after)
    return count


def _count_recipients(
    count: Count, account: Account, recipients: Recipients, renderer: Renderer, prices: PriceList | None
) -> None:
    opted_out = suppressed_among(account, recipients.phones)
    known: tuple[str, int] | None = None  # encoding and segments of a text without placeholders
    for row, phone, values in zip(*recipients, strict=True):
        if phone in opted_out:
            _add(count.removed, Reason.OPTED_OUT.value)
            continue
        try:
            text = fit_text(renderer, values)
        except Unfit as unfit:
            _add(count.removed, unfit.reason.value)
            continue
        encoding, segments = known or (encoding_of(text), segment_count(text))
        if renderer.is_constant:
            known = encoding, segments
        price = prices.price_of(phone[1:]) if prices else 0
        count.recipients += 1
        count.segments += segments
        count.price_micro += segments * (price or 0)
        count.unpriced += price is None
        _add(count.encodings, encoding)
        country = count.countries.setdefault(country_of(phone), [0, 0, 0])
        country[0] += 1
        country[1] += segments
        country[2] += segments * (price or 0)
        if len(text) > count.longest_length:
            count.longest_length, count.longest_segments, count.longest_row = len(text), segments, row


def _unrouted_among(router: Router, phones: Sequence[str]) -> int:
    """Count the numbers that no route leads to."""
    if router.is_simple:
        return 0
    found = Counter(router.prefixes_of(phones))
    return sum(number for prefix, number in found.items() if not router.leads_to(prefix))


def _add(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _made_of(campaign: Campaign) -> str:
    """Return a hash of everything that messages and prices are counted from."""
    parts = [campaign.message, campaign.mode, campaign.account.currency, audience_hash(campaign.audience)]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def _quiet_hours_hash(campaign: Campaign) -> str:
    """Return a hash of the campaign's quiet hours."""
    return hashlib.sha256(repr(quiet_of(campaign)).encode()).hexdigest()


def _read(campaign: Campaign) -> Count | None:
    return Count(**campaign.preflight) if campaign.preflight else None


@transaction.atomic
def _store(campaign_id: int, count: Count, after: int | None) -> None:
    """Store the count. `after`: the chunks counted before, None to begin anew.

    If another worker was quicker with the same slice, or began anew, its count stays and this slice is counted again.
    """
    campaign = Campaign.objects.select_for_update().filter(pk=campaign_id).first()
    if campaign is None:
        return
    before = _read(campaign)
    if after is not None and (before is None or (before.made_of, before.chunks) != (count.made_of, after)):
        return
    campaign.preflight = asdict(count)
    campaign.save(update_fields=["preflight"])
