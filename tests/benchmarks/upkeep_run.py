"""What upkeep costs, measured by a process of its own on a database of its own: prints JSON as its last line.

    python -m tests.benchmarks.upkeep_run SINGLES ROWS

Settling: single sends of two accounts that a provider has taken are charged. Purging: rows of each table as the product
writes them, one process as fast as it can, beside the removal of as many old ones, with the pauses between its rounds.
"""

import json
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import django

PRICE = 50_000  # millionths
FILLED = 400  # rows of each table as the product writes them


def main() -> None:
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    singles, rows = (int(text) for text in sys.argv[1:])
    print(json.dumps({"credit": credit_of(singles), "purges": purges_of(rows)}))


def credit_of(singles: int) -> dict[str, Any]:
    """Seconds until both accounts were charged, and where their books disagree."""
    from messaging.outcomes import billing

    for number in (singles, max(1, singles // 10)):
        _send_singles(number)
    start, settled = time.perf_counter(), 0
    while posted := billing.settle_closed():
        settled += posted
    seconds = time.perf_counter() - start
    return {"settled": settled, "seconds": seconds, "wrong": list(billing.disagreements())}


def _send_singles(number: int) -> None:
    """So many of one account, taken by a provider and not charged, written straight into the tables."""
    from django.utils import timezone

    from accounts.billing import credit
    from campaigns.choices import CampaignKind, CampaignStatus
    from campaigns.models import Campaign
    from messaging.models import Batch
    from tests.support.factories import AccountFactory, MembershipFactory, make_audience

    account = AccountFactory(is_metered=True)
    user = MembershipFactory(account=account).user
    credit.top_up(account, 2 * number * PRICE, "for the benchmark", None)
    credit.reserve(account, number * PRICE)
    now, audience = timezone.now(), make_audience(account, 1)
    campaigns = Campaign.objects.bulk_create(
        Campaign(
            account=account,
            user=user,
            kind=CampaignKind.SINGLE,
            status=CampaignStatus.COMPLETED,
            closed_at=now,
            message="Code",
            audience=audience,
            reserved_micro=PRICE,
            delivered=1,
            total_recipients=1,
            bulk_id=f"bulk-{account.pk}-{place}",
        )
        for place in range(number)
    )
    Batch.objects.bulk_create(
        Batch(
            account=account,
            campaign=campaign,
            chunk=0,
            part=0,
            mode="live",
            lane=0,
            turn=0,
            size=1,
            gateway="infobip",
            price_micro=PRICE,
            segments=1,
            delivered=1,
            state="done",
        )
        for campaign in campaigns
    )


def purges_of(rows: int) -> dict[str, dict[str, float]]:
    """By task: rows a second as the product writes them, and as they are removed."""
    from celery import current_app

    from smsapp.core import purge
    from tests.support.aged_rows import KINDS, LONG_AGO, store

    current_app.loader.import_default_modules()
    purge.SECONDS_AT_ONCE, seconds_at_once = 0.5, purge.SECONDS_AT_ONCE
    purge.wake = lambda task, after: None  # type: ignore[assignment]
    found = {}
    for task, fill in _fills().items():
        start = time.perf_counter()
        for _ in range(FILLED):
            fill()
        filled = FILLED / (time.perf_counter() - start)
        for _ in range(max(1, rows // 2000)):
            store(KINDS[task], 2000, LONG_AGO)
        start, removed = time.perf_counter(), 0
        while gone := current_app.tasks[task]():
            removed += gone
        seconds = time.perf_counter() - start
        share = seconds_at_once / (seconds_at_once + purge.PAUSE)
        found[task] = {"filled": filled, "removed": removed / seconds * share}
    return found


def _fills() -> dict[str, Callable[[], object]]:
    """What writes a row of each table (of the last, ten) in the product."""
    from django.contrib.sessions.backends.db import SessionStore

    from accounts import idempotency, request_log
    from accounts.access import tokens
    from accounts.access.principal import Caller
    from accounts.choices import Mode, Role
    from accounts.models import WebhookEndpoint
    from accounts.webhooks import endpoints, outbox
    from messaging.choices import FactSource
    from messaging.ids import public_id
    from messaging.outcomes import provider_ids, report_inbox
    from tests.support.aged_rows import callbacks, calls
    from tests.support.factories import MembershipFactory

    member = MembershipFactory()
    number = count(10**9)
    (endpoint,) = WebhookEndpoint.objects.bulk_create(callbacks(1))  # type: ignore[arg-type]
    call = {name: value for name, value in vars(calls(1)[0]).items() if name not in ("_state", "id")}
    noted = call | {"created_at": time.time()}
    caller = Caller(member.account, member.user, Mode.LIVE, Role.OWNER, frozenset())
    answer = idempotency.Answer(202, b'{"accepted":1}', "id")

    def log_call() -> None:
        request_log.note(noted)
        request_log.store()

    def keep_key() -> None:
        idempotency.carry_out(caller, str(next(number)), "f", lambda: answer)

    def keep_ids() -> None:
        provider_ids.keep("twilio", {public_id(n): f"SM{n}" for n in (next(number) for _ in range(10))})

    return {
        "accounts.purge_usage": log_call,
        "accounts.purge_idempotency_keys": keep_key,
        "accounts.purge_tokens": lambda: tokens.sign_in(member.user),
        "accounts.purge_sessions": lambda: SessionStore().save(),
        "accounts.purge_webhooks": lambda: outbox.write([(endpoint.pk, "ping", {"count": 1})]),
        "accounts.purge_callbacks": lambda: endpoints.use_callback(
            member.account, "live", f"https://127.0.0.1/{next(number)}"
        ),
        "messaging.purge": lambda: report_inbox.receive("infobip", FactSource.PUSH, b"x" * 400, 1),
        "messaging.purge_references": keep_ids,
    }


if __name__ == "__main__":
    main()
