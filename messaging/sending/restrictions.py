"""Protection of recipients, and of us against SMS pumping.

Countries    at accept; of a file at expansion, where such a number fails with the reason
Frequency    `recipient_hourly_limit` and `recipient_daily_limit`, over all campaigns: of a single send at accept, and
             of everything just before the call. Messages that may have left count, too: those in a call, or in one
             whose outcome is unknown. Two calls that begin in the same instant may both see capacity.
Consecutive  a guarded account is suspended: single sends to more than BLOCK_LIMIT different numbers of one block of
             ten thousand in an hour, or a file whose numbers are mostly consecutive
"""

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext_noop
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from accounts.choices import Mode
from accounts.models import Account
from accounts.suspension import raise_alarm
from messaging.choices import NEVER_HANDED_OVER, AttemptState, MessageStatus
from messaging.ids import batch_of
from messaging.models import Attempt, Message
from messaging.storage.message_rows import QueuedMessage
from smsapp.core import clock
from smsapp.lib.phone import country_of
from smsapp.lib.sentences import Sentence

logger = logging.getLogger(__name__)

BLOCK_DIGITS, BLOCK_LIMIT, BLOCK_WINDOW = 4, 20, 3600
LEAST_IN_ROW, SHARE_IN_ROW = 200, 0.5
NEIGHBOURS = 3  # largest gap between consecutive numbers
COUNTRY_DIGITS = 8  # digits that tell a number's country, plus included
CONSECUTIVE = Sentence(
    gettext_noop(
        "Most of its recipients are consecutive phone numbers, as in SMS pumping (artificially inflated traffic)."
    )
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
UNLIMITED = 1 << 30
#: States of a call in which an unproven message may have left, by the message's own state.
MAY_HAVE_LEFT = {
    MessageStatus.QUEUED: (AttemptState.OPEN,),
    MessageStatus.UNKNOWN: (AttemptState.UNKNOWN, AttemptState.RESOLVED),
    MessageStatus.UNCONFIRMED: (AttemptState.UNKNOWN, AttemptState.RESOLVED),
}


def blocked_among(account: Account, phones: Iterable[str]) -> set[str]:
    """Return the phone numbers (E.164) in countries that the account may not send to."""
    allowed = frozenset(account.allowed_countries.upper().split())
    return {phone for phone in phones if _country(phone) not in allowed} if allowed else set()


def _country(phone: str) -> str:
    """Return a number's country.

    Its first digits tell for most numbers; where a calling code has many countries, the whole number does.
    """
    return (
        country_of(phone) if phone.startswith(("+1", "+7", "+44", "+212")) else _country_under(phone[:COUNTRY_DIGITS])
    )


@lru_cache(maxsize=8192)
def _country_under(beginning: str) -> str:
    return country_of(beginning.ljust(13, "0")) or country_of(beginning.ljust(12, "0")) or ""


def too_often_among(account: Account, phones: Collection[str], now: datetime | None = None) -> set[str]:
    """Return the phone numbers that got, or may have got, as many messages of the account as allowed."""
    return {
        phone for phone, remaining in _remaining(account, phones, now or clock.about_now()).items() if remaining <= 0
    }


def over_limit(account: Account, rows: Mapping[int, Sequence[QueuedMessage]], now: datetime) -> list[int]:
    """Return the keys of messages that are about to leave to recipients who have had enough."""
    queued = [row for some in rows.values() for row in some]
    remaining = _remaining(account, {row.phone_number for row in queued}, now)
    often = []
    for row in queued if remaining else ():
        remaining[row.phone_number] -= 1
        if remaining[row.phone_number] < 0:
            often.append(row.id)
    return often


def _remaining(account: Account, phones: Collection[str], now: datetime) -> dict[str, int]:
    """Return how many messages each phone number may still get; nothing where the account has no limit."""
    hourly, daily = account.recipient_hourly_limit, account.recipient_daily_limit
    if (hourly is None and daily is None) or not phones:
        return {}
    in_hour, in_day = Counter[str](), Counter[str]()
    of_account = Message.objects.filter(
        phone_number__in=set(phones), campaign__account=account, campaign__mode=Mode.LIVE
    ).order_by()
    taken = of_account.filter(sent_at__gte=now - DAY).exclude(status__in=NEVER_HANDED_OVER)
    proven = taken.values_list("phone_number").annotate(
        day=Count("pk"), hour=Count("pk", filter=Q(sent_at__gte=now - HOUR))
    )
    for phone, day, hour in proven:
        in_day[phone] += day
        in_hour[phone] += hour
    for phone, left_at in _unproven(of_account, now - DAY):
        in_day[phone] += 1
        in_hour[phone] += left_at >= now - HOUR
    return {
        phone: min(
            UNLIMITED if hourly is None else hourly - in_hour[phone],
            UNLIMITED if daily is None else daily - in_day[phone],
        )
        for phone in phones
    }


def _unproven(messages: QuerySet[Message], since: datetime) -> Iterator[tuple[str, datetime]]:
    """Yield phone number and time of each unproven message that may have left in a call since then."""
    without_proof = messages.filter(sent_at=None, status__in=MAY_HAVE_LEFT)
    rows = list(without_proof.values_list("pk", "status", "phone_number"))
    calls: defaultdict[int, list[tuple[int, int, str, datetime]]] = defaultdict(list)
    made = Attempt.objects.filter(batch_id__in={batch_of(pk) for pk, _, _ in rows}, started_at__gte=since)
    columns = ("batch_id", "first", "last", "state", "started_at")
    for batch_id, first, last, state, at in made.values_list(*columns) if rows else ():
        calls[batch_id].append((first, last, state, at))
    for pk, status, phone in rows:
        states = MAY_HAVE_LEFT[MessageStatus(status)]
        times = [at for first, last, state, at in calls[batch_of(pk)] if first <= pk <= last and state in states]
        if times:
            yield phone, max(times)


def watch_singles(account: Account, phones: Sequence[str]) -> bool:
    """Count single sends by block of numbers. Suspend the account and return False if a block has too many.

    While Redis is down nothing is counted.
    """
    if not account.guards_numbers:
        return True
    try:
        with get_redis_connection("default").pipeline(transaction=False) as pipe:
            for phone in phones:
                key = f"{settings.REDIS_KEY_PREFIX}:block:{account.pk}:{_block_name(phone)}"
                pipe.sadd(key, phone[-BLOCK_DIGITS:])
                pipe.expire(key, BLOCK_WINDOW, nx=True)
                pipe.scard(key)
            counts = pipe.execute()[2::3]
    except RedisError as error:
        logger.warning("single sends are not counted by block: %s", error)
        return True
    if max(counts, default=0) <= BLOCK_LIMIT:
        return True
    raise_alarm(account.pk, CONSECUTIVE)
    return False


def _block_name(phone: str) -> str:
    """Return a keyed hash of the block's digits: Redis holds no phone numbers and no parts of them."""
    return hashlib.blake2b(
        phone[:-BLOCK_DIGITS].encode(), key=settings.SECRET_KEY.encode()[: hashlib.blake2b.MAX_KEY_SIZE], digest_size=12
    ).hexdigest()


def watch_audience(account: Account, phones: Sequence[str]) -> bool:
    """Suspend the account and return False if most of these numbers are consecutive."""
    if not account.guards_numbers or not is_in_row(phones):
        return True
    raise_alarm(account.pk, CONSECUTIVE)
    return False


def is_in_row(phones: Sequence[str]) -> bool:
    """Return whether most of many numbers are consecutive: nobody's customers are."""
    if len(phones) < LEAST_IN_ROW:
        return False
    numbers = sorted(int(phone[1:]) for phone in phones)
    near = sum(later - earlier <= NEIGHBOURS for earlier, later in pairwise(numbers))
    return near >= SHARE_IN_ROW * len(numbers)
