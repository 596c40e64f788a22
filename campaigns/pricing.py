"""What a campaign costs, and the credit that is reserved for it.

1. `admit` counts its recipients against the daily limit and reserves its cost at the prices of that moment. The
   campaign keeps these prices: a later change of the price list does not touch it.
2. The cost is exact if all recipients are in one chunk, as those of every single send are: each text is rendered.
   Otherwise it is estimated from the recipients' prefixes and the mean length of the first chunk's texts.
3. `cover` runs as each chunk becomes messages. It reserves what is missing, or the campaign is paused; after the last
   chunk it gives back the surplus. So nothing is sent without a reservation.

Test mode and accounts without metering skip all of it, without a query.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from accounts.billing import credit, quota
from accounts.billing.prices import PriceList
from accounts.choices import Mode
from campaigns.models import Campaign
from campaigns.texts.opt_out_links import blank_link
from campaigns.texts.renderers import renderer_of
from campaigns.texts.rendering import EmptyValue, Renderer
from smsapp.core.exceptions import DestinationBlocked
from smsapp.lib.sentences import Sentence, gettext_noop
from smsapp.lib.text import MAX_TEXT_LENGTH, segment_count
from uploads.chunks import PREFIX_DIGITS, Recipients, count_prefixes, unpack_body
from uploads.models import AudienceChunk

#: Fields of the campaign that `admit` and `undo_admission` change.
FIELDS = ("prices", "reserved_micro", "counted_on")


@dataclass(frozen=True, slots=True)
class Quote:
    """The cost of a campaign, in millionths of the currency, and the prices behind it."""

    amount: int
    prices: PriceList


def admit(campaign: Campaign) -> None:
    """Count the campaign against the daily limit and reserve its cost, once.

    Call it in the transaction that accepts the campaign and saves it afterwards. Raises QuotaExceeded,
    SpendLimitReached, InsufficientCredit, or DestinationBlocked if a number has no price.
    """
    if campaign.mode != Mode.LIVE or not campaign.total_recipients:
        return
    account = campaign.account
    quote = quote_of(campaign) if account.is_metered and campaign.prices is None else None
    if campaign.counted_on is None:
        campaign.counted_on = quota.count(account, campaign.total_recipients)
    if quote is not None:
        campaign.counted_on = quota.spend(account, quote.amount) or campaign.counted_on
        credit.reserve(account, quote.amount)
        campaign.prices, campaign.reserved_micro = quote.prices.prices, quote.amount


def undo_admission(campaign: Campaign) -> None:
    """Undo `admit` for a campaign that has sent nothing.

    Call it in the transaction that has locked the campaign's row and saves it afterwards.
    """
    counted = campaign.total_recipients if campaign.account.daily_message_limit is not None else 0
    quota.give_back(campaign.account_id, campaign.counted_on, counted, campaign.reserved_micro)
    credit.give_back(campaign.account_id, campaign.reserved_micro)
    campaign.prices, campaign.reserved_micro, campaign.counted_on = None, 0, None


def cover(campaign: Campaign, cost: int) -> None:
    """Add the cost of one more chunk of messages, and reserve what is missing for it.

    Call it in the transaction that makes the messages and has updated the campaign's row. Raises InsufficientCredit if
    they cost more than was reserved and the account cannot pay the difference.
    """
    if campaign.prices is None or campaign.chunk_count == 1:
        return
    row = Campaign.objects.get(pk=campaign.pk)
    total = row.cost_micro + cost
    surplus = row.reserved_micro + row.charged_micro - total
    if surplus < 0:
        credit.reserve(row.account, -surplus)
        row.reserved_micro -= surplus
    elif row.chunks_done == row.chunk_count:
        credit.give_back(row.account_id, surplus)
        row.reserved_micro -= surplus
    Campaign.objects.filter(pk=row.pk).update(cost_micro=total, reserved_micro=row.reserved_micro)


def quote_of(campaign: Campaign) -> Quote:
    """Return the cost of a campaign, exact if its recipients are in one chunk.

    Raises DestinationBlocked if a number has no price.
    """
    chunks = AudienceChunk.objects.filter(audience=campaign.audience_id).order_by("number")
    renderer = renderer_of(campaign.kind, campaign.message, campaign.audience.columns)
    first = unpack_body(chunks.values_list("body", flat=True)[0])
    segments = _segments(renderer, first)
    if campaign.audience.chunk_count == 1:
        prices = PriceList.of(campaign.account, first.phones)
        return _exact(prices, first.phones, segments)
    counts: Counter[str] = Counter()
    for counted in chunks.values_list("prefix_counts", flat=True).iterator(chunk_size=100):
        counts.update(counted)
    if counts.total() < campaign.audience.recipient_count:  # stored before chunks had counts
        bodies = chunks.values_list("body", flat=True).iterator(chunk_size=10)
        counts = Counter(phone[1 : PREFIX_DIGITS + 1] for body in bodies for phone in unpack_body(body).phones)
    mean = sum(segments) / max(1, len(segments))
    return _estimated(PriceList.of(campaign.account), counts, mean)


def _exact(prices: PriceList, phones: Sequence[str], segments: Sequence[int]) -> Quote:
    amount = 0
    for phone, count in zip(phones, segments, strict=True):
        price = prices.price_of(phone[1:])
        if price is None:
            raise no_price(phone[1:5])
        amount += price * count
    return Quote(amount, prices.cut_to(count_prefixes(phones)))


def _estimated(prices: PriceList, counts: Counter[str], mean: float) -> Quote:
    amount = 0
    for prefix, count in counts.items():
        price = prices.highest_of(prefix)
        if price is None:
            raise no_price(prefix)
        amount += price * ceil(count * mean)
    return Quote(amount, prices.cut_to(counts))


def no_price(prefix: str) -> DestinationBlocked:
    reason = Sentence(gettext_noop("This account has no price for numbers that begin with +%(prefix)s."), prefix=prefix)
    return DestinationBlocked(reason, "phone_numbers", f"+{prefix}")


def _segments(renderer: Renderer, recipients: Recipients) -> list[int]:
    """Return the number of segments of each recipient's text; 0 if it cannot be sent."""
    if renderer.is_constant:
        return [_count(renderer, ())] * len(recipients.phones)
    return [_count(renderer, row) for row in recipients.values]


def _count(renderer: Renderer, row: Sequence[str]) -> int:
    try:
        text = renderer.render(row, blank_link() if renderer.has_link else "")
    except EmptyValue:
        return 0
    return segment_count(text) if text.strip() and len(text) <= MAX_TEXT_LENGTH else 0
