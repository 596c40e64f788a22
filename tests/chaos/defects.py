"""Seeded defects: each takes one guard out of the product's own source. Data only.

`changes` are (file, text as it stands there exactly once, text without the guard). Of the `detectors`, which run in
that order, one has to fail then with one of the words of `signs`: because a promise is broken, that is, and not
because nothing runs any more.
"""

from dataclasses import dataclass

CLAIMS = "tests/messaging/sending/test_leases.py"  # real processes, frozen and killed
BROKEN_OFF = "tests/messaging/sending/test_broken_off.py"
PIPELINE = "tests/messaging/test_pipeline.py"
SETTLEMENT = "tests/messaging/outcomes/test_settlement.py"
STATE_MACHINE = "tests/messaging/test_state_machine.py"
CONCURRENCY = "tests/messaging/test_concurrency.py"
RESULTS = "tests/messaging/outcomes/test_webhook_events.py"
CHARGES = "tests/messaging/outcomes/test_billing.py"
WEBHOOKS = "tests/accounts/webhooks/test_delivery.py"
IDEMPOTENCY = "tests/smsapp/api/test_idempotency.py"


@dataclass(frozen=True, slots=True)
class Defect:
    name: str
    changes: tuple[tuple[str, str, str], ...]
    detectors: tuple[str, ...] = (BROKEN_OFF, PIPELINE, CLAIMS, STATE_MACHINE)
    signs: tuple[str, ...] = ("doubled", "assert")


DEFECTS = (
    Defect(
        "no lease",
        (
            ("messaging/querysets.py", "MAY_SEND, state=BatchState.READY, lane", "MAY_SEND, queued__gt=0, lane"),
            (
                "messaging/sending/leases.py",
                "ours.filter(state__in=BATCH.sources(BatchState.LEASED, Actor.WORKER)).",
                "ours.",
            ),
        ),
    ),
    Defect(
        "no epoch",
        (
            (
                "messaging/sending/prepare.py",
                "if epochs.get(batch.pk) == batch.lease_epoch]",
                "if batch.pk in epochs]",
            ),
            ("messaging/sending/leases.py", "if batch.lease_epoch == ours[batch.pk] and BATCH.may(", "if BATCH.may("),
        ),
    ),
    Defect(
        "time-out becomes a retry",
        (("messaging/gateways/transport.py", "(Unknown if call.has_left else NotSent)(", "NotSent("),),
    ),
    Defect(
        "no rank",
        (("messaging/outcomes/settlement.py", "is_news = MESSAGE.may(status, target, fact.source) and", "is_news ="),),
        detectors=(SETTLEMENT, STATE_MACHINE),
    ),
    Defect(
        "no unique chunk",
        (
            (
                "messaging/sending/expansion.py",
                "filter(pk=campaign.pk, chunks_done=chunk_number, status=",
                "filter(pk=campaign.pk, status=",
            ),
            (
                "messaging/migrations/0001_initial.py",
                'models.UniqueConstraint(fields=("campaign", "chunk", "part"), name="batch_expanded_once")',
                'models.CheckConstraint(condition=models.Q(part__gte=0), name="batch_expanded_once")',
            ),
        ),
        detectors=(PIPELINE, CONCURRENCY),
    ),
    Defect(
        "cancel whatever is there",
        (
            (
                "messaging/upkeep/sweeps.py",
                "UNSENT = (BatchState.DEFERRED,",
                "UNSENT = (BatchState.LEASED, BatchState.DEFERRED,",
            ),
        ),
    ),
    Defect(
        "no deadline for the beginning of a call",
        (
            ("messaging/sending/submit.py", "if time.monotonic() >= call.submission.begin_before:", "if False:"),
            ("messaging/gateways/transport.py", " or self.is_too_late(now)", ""),
        ),
    ),
    Defect(
        "no grace before absence is proof",
        (
            (
                "messaging/outcomes/reconciliation.py",
                "resend_after is not None and age >= resend_after",
                "resend_after is not None",
            ),
        ),
    ),
    Defect(
        "200 before the commit",
        (
            (
                "messaging/outcomes/report_inbox.py",
                "    try:\n        store()",
                "    try:\n        with contextlib.suppress(Exception): store()",
            ),
            ("messaging/outcomes/report_inbox.py", "import logging\n", "import contextlib\nimport logging\n"),
        ),
        detectors=("tests/messaging/views/test_callbacks.py",),
        signs=("assert 200 == 503",),
    ),
    Defect(
        "counters in application code",
        (
            (
                "messaging/outcomes/settlement.py",
                "    if ended := counters.move_campaigns(deltas):\n        settle_status(ended, now)\n",
                "    for campaign in Campaign.objects.filter(pk__in=deltas):\n"
                "        for status, count in deltas[campaign.pk].items():\n"
                "            setattr(campaign, status, getattr(campaign, status) + count)\n"
                "        campaign.save(update_fields=list(deltas[campaign.pk]))\n"
                "    settle_status(sorted(deltas), now)\n",
            ),
            (
                "messaging/outcomes/settlement.py",
                'list(Campaign.objects.filter(pk__among=ids).order_by("pk").select_for_update(no_key=True).values_list("pk"))',
                "return",
            ),
        ),
        detectors=(f"{CONCURRENCY}::test_facts_from_many_writers_leave_every_count_exact",),
    ),
    Defect(
        "a limit that opens when it fails",
        (
            (
                "messaging/routing/throttle.py",
                "return replace(limits, ceiling=limits.ceiling / settings.SENDING_PROCESSES)",
                "return replace(limits, ceiling=None)",
            ),
        ),
        detectors=("tests/messaging/routing/test_throttle.py",),
    ),
    Defect(
        "sent again without asking",
        (
            (
                "messaging/outcomes/reconciliation.py",
                "allowance.look_up(claimed, MessageStatus.UNKNOWN)",
                "[Lookup(conclusive=True)] * len(claimed)",
            ),
        ),
    ),
    Defect(
        "no question after a stop",
        (
            (
                "messaging/restore/detection.py",
                "if (why := _stop_in_words(installation, now, moment)) or",
                'if (why := "") or',
            ),
        ),
        detectors=("tests/messaging/restore/test_asking.py",),
    ),
    Defect(
        "events told outside of the transaction",
        (
            (
                "messaging/outcomes/settlement.py",
                "        webhook_events.emit_events("
                "campaign_of, decision.changes, known, segments, decision.refused, now)\n",
                "        told = campaign_of, decision.changes, known, segments, decision.refused, now\n"
                "        transaction.on_commit(lambda: webhook_events.emit_events(*told))\n",
            ),
        ),
        detectors=(f"{RESULTS}::test_what_changes_nothing_is_not_told_again",),
    ),
    Defect(
        "an event that counts as delivered before its call",
        (
            (
                "accounts/webhooks/claims.py",
                "            lease_owner=lease, lease_until=now + LEASE, next_attempt_at=now + LEASE\n",
                "            lease_owner=lease, state=WebhookState.DELIVERED, delivered_at=now\n",
            ),
        ),
        detectors=(f"{WEBHOOKS}::test_whatever_is_killed_every_event_arrives",),
    ),
    Defect(
        "segments charged and not counted as charged",
        (
            (
                "messaging/outcomes/billing.py",
                '.update(charged_segments=F("segments"))',
                '.update(charged_segments=F("charged_segments"))',
            ),
        ),
        detectors=(CHARGES,),
    ),
    Defect(
        "a refusal that is charged",
        (("messaging/outcomes/settlement.py", "        if more:\n", "        if more > 0:\n"),),
        detectors=(CHARGES,),
    ),
    Defect(
        "a late refusal that is charged",
        (("messaging/outcomes/settlement.py", "            refused.add(message_pk)\n", "            pass\n"),),
        detectors=("tests/messaging/outcomes/test_refusals_after_taking.py",),
    ),
    Defect(
        "refusals that nobody counts",
        (("messaging/sending/refusals.py", "if row.count >= limit else None", "if row.count >= 10**6 else None"),),
        detectors=("tests/messaging/sending/test_refusals.py",),
    ),
    Defect(
        "no limit for what may have left",
        (("messaging/sending/restrictions.py", "        if times:\n", "        if times and not phone:\n"),),
        detectors=("tests/messaging/sending/test_restrictions.py",),
    ),
    Defect(
        "a campaign that takes every token",
        (("messaging/routing/throttle_state.py", "(allowed * RESERVE if yields else 0.0)", "0.0"),),
        detectors=("tests/messaging/routing/test_throttle_state.py",),
    ),
    Defect(
        "what waits for a gateway that hangs takes the places of others",
        (
            (
                "messaging/sending/leases.py",
                'return sorted(batches, key=attrgetter("turn", "pk"))',
                'return sorted(batches, key=attrgetter("turn", "pk"))[:limit]',
            ),
        ),
        detectors=("tests/messaging/sending/test_hanging.py",),
    ),
    Defect(
        "a cancelled campaign in everybody's way",
        (
            (
                "messaging/sending/fair_queue.py",
                "exclude(status=CampaignStatus.RUNNING)",
                "exclude(status__in=(CampaignStatus.RUNNING, CampaignStatus.CANCELLED))",
            ),
        ),
        detectors=("tests/messaging/sending/test_fair_queue.py",),
    ),
    Defect(
        "a key that keeps no answer",
        (("accounts/idempotency.py", "        if row.status_code is not None:\n", "        if False:\n"),),
        detectors=(IDEMPOTENCY,),
    ),
)
