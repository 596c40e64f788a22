"""Recurring campaigns: created, changed and stopped by people; fired by the clock, each moment once.

Firing is one transaction: it advances `next_run_at` by compare-and-set and stores the campaign of the moment before,
unique by (recurring, due_at). Any number of clocks may try. A moment that is late by more than LATE_START_WINDOW makes
a `missed` campaign, which waits for a person. After an outage only the last moment makes a campaign; the detail says
how many runs were skipped.
"""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from accounts.choices import Mode
from accounts.models import Account, User
from accounts.security import audit
from accounts.webhooks import endpoints
from campaigns import drafts, services, validation
from campaigns.choices import CampaignKind, RecurringStatus
from campaigns.models import Campaign, RecurringCampaign
from campaigns.recipients import RecipientSource, gather
from campaigns.scheduling.rule import Rule
from campaigns.transitions import locked_campaign, require_draft
from campaigns.validation import COPIED, CampaignRequest, check_message, check_request
from smsapp.core import clock
from smsapp.core.exceptions import InvalidState, NotFound, Problems, SmsappError, ValidationError
from smsapp.core.isolation import run_isolated
from smsapp.lib.moments import utc_text
from smsapp.lib.sentences import Sentence
from uploads.contacts import list_of, snapshot
from uploads.models import Audience

logger = logging.getLogger(__name__)

MAX_RECURRING = 500  # of one account, without those that have ended
MAX_FAILURES = 3  # consecutive runs without a campaign, after which it is paused
AT_ONCE = 200


def recurring_of(account: Account, recurring_id: str, mode: Mode) -> RecurringCampaign:
    """Return the recurring campaign with this id. Raises NotFound."""
    rows = RecurringCampaign.objects.select_related("account", "rule", "contact_list", "user")
    found = rows.filter(account=account, mode=mode, recurring_id=recurring_id).first()
    if found is None:
        raise NotFound(_("There is no such recurring campaign."))
    return found


def create_recurring(
    account: Account, user: User, request: CampaignRequest, rule: Rule, wanted: RecipientSource, **options: Any
) -> RecurringCampaign:
    """Store a new recurring campaign. `options`: `valid_minutes`, `ends_at`.

    Raises an SmsappError if its campaigns could not be sent, or if it would never fire.
    """
    now, problems = clock.about_now(), Problems()
    problems.check(check_request, account, request, columns=None)
    problems.check(rule.check, now)
    row = RecurringCampaign(
        account=account,
        user=user,
        mode=request.mode,
        recurring_id=f"rec-{secrets.token_hex(10)}",
        **{name: getattr(request, name) for name in COPIED},
        **options,
    )
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        not_ended = RecurringCampaign.objects.filter(account=account).exclude(status=RecurringStatus.ENDED)
        if not_ended.count() >= MAX_RECURRING:
            reason = Sentence(gettext_noop("An account has at most %(max)d recurring campaigns."), max=MAX_RECURRING)
            raise InvalidState(reason, limit=MAX_RECURRING)
        problems.check(_set_recipients, row, wanted)
        problems.refuse()
        row.rule = rule.stored()
        _plan(row, rule, now)
        row.save(force_insert=True)
        _note(row, "created", user, after=_facts(row))
    return row


def recurring_from_draft(campaign: Campaign, by: User) -> RecurringCampaign:
    """Turn a draft with a rule into a recurring campaign with the same upload or contact list.

    One of several simultaneous calls wins; the others find no draft. Raises NotFound, InvalidState unless it is a draft
    with a rule and such recipients, and whatever `create_recurring` raises.
    """
    require_draft(campaign)
    if campaign.callback_url:
        endpoints.check_callback(campaign.account, campaign.mode, campaign.callback_url)
    with transaction.atomic():
        draft = locked_campaign(campaign)
        require_draft(draft)
        rule, wanted = drafts.rule_of(draft), drafts.recipients_of(draft)
        if rule is None or wanted is None:
            raise InvalidState(_("A recurring campaign needs an uploaded file or a contact list."))
        request = replace(validation.request_of(draft), scheduled_at=None, valid_until=None)
        made = create_recurring(draft.account, by, request, rule, wanted)
        drafts.delete_draft(draft, by)
    return made


def change_recurring(
    row: RecurringCampaign,
    by: User,
    changes: Mapping[str, Any],
    rule: Rule | None = None,
    wanted: RecipientSource | None = None,
) -> RecurringCampaign:
    """Change the runs to come; campaigns of earlier runs stay as they are.

    Raises InvalidState if it has ended, or an SmsappError if its campaigns could not be sent like this.
    """
    now = clock.about_now()
    _check_callback(row, changes.get("callback_url", row.callback_url))
    with transaction.atomic():
        row = _locked(row)
        before = _facts(row)
        for name, value in changes.items():
            setattr(row, name, value)
        check_request(row.account, request_of(row, None), columns=None)
        if rule is not None:
            rule.check(now)
            row.rule = rule.stored()
        if wanted is not None:
            _set_recipients(row, wanted)
        elif "message" in changes and row.audience is not None:
            check_message(row.message, row.audience.columns)
        if row.status == RecurringStatus.ACTIVE:
            _plan(row, rule or Rule.of(row.rule), now)
        row.failure_count, row.detail = 0, ""
        row.save()
        _note(row, "changed", by, before=before, after=_facts(row) | {"changed": sorted(changes)})
    return row


def pause(row: RecurringCampaign, by: User) -> RecurringCampaign:
    """Stop firing until `resume`; campaigns of earlier runs go on. Raises InvalidState unless active."""
    return _move(row, by, "paused", RecurringStatus.PAUSED, RecurringStatus.ACTIVE)


def resume(row: RecurringCampaign, by: User) -> RecurringCampaign:
    """Fire again from the next moment on; earlier ones are skipped. Raises InvalidState unless paused."""
    return _move(row, by, "resumed", RecurringStatus.ACTIVE, RecurringStatus.PAUSED)


def end(row: RecurringCampaign, by: User) -> RecurringCampaign:
    """Stop firing for ever. Raises InvalidState if it has ended."""
    return _move(row, by, "ended", RecurringStatus.ENDED, RecurringStatus.ACTIVE, RecurringStatus.PAUSED)


def next_moments(row: RecurringCampaign, count: int) -> list[datetime]:
    """Return the next moments, at most `count`; none if it has ended."""
    if row.status == RecurringStatus.ENDED:
        return []
    moments = Rule.of(row.rule).after(clock.about_now())
    return [moment for moment in islice(moments, count) if row.ends_at is None or moment <= row.ends_at]


def fire_due(now: datetime) -> int:
    """Fire every moment that has come. Return the number of campaigns made."""
    due = RecurringCampaign.objects.filter(status=RecurringStatus.ACTIVE, next_run_at__lte=now).order_by("next_run_at")
    return sum(
        bool(run_isolated(lambda pk: _fire(pk, now), pk)) for pk in list(due.values_list("pk", flat=True)[:AT_ONCE])
    )


def request_of(row: RecurringCampaign, due_at: datetime | None) -> CampaignRequest:
    """Return the settings of the campaign of a moment."""
    valid_until = due_at + timedelta(minutes=row.valid_minutes) if due_at and row.valid_minutes else None
    return CampaignRequest(
        kind=CampaignKind.BULK,
        mode=Mode(row.mode),
        valid_until=valid_until,
        **{name: getattr(row, name) for name in COPIED},
    )


def _fire(pk: int, now: datetime) -> bool:
    try:
        for found in RecurringCampaign.objects.filter(pk=pk).exclude(callback_url="").select_related("account"):
            _check_callback(found, found.callback_url)
        with transaction.atomic():
            row = _claimed(pk, now)
            if row is None:
                return False
            due_at, skipped = _last_due(row, now)
            _make(row, due_at, skipped, now)
    except SmsappError as error:
        _fail(pk, now, error)
        return False
    return True


def _claimed(pk: int, now: datetime) -> RecurringCampaign | None:
    """Lock the row and advance `next_run_at`; None if its moment has not come or another process fires it."""
    rows = RecurringCampaign.objects.select_for_update(of=("self",), skip_locked=True)
    rows = rows.select_related("account", "user", "rule", "contact_list", "audience")
    row = rows.filter(pk=pk, status=RecurringStatus.ACTIVE, next_run_at__lte=now).first()
    if row is None:
        return None
    before, row_rule = row.next_run_at, Rule.of(row.rule)
    later = _within(row, row_rule.next_after(now))
    moved = RecurringCampaign.objects.filter(pk=pk, status=RecurringStatus.ACTIVE, next_run_at=before)
    values: dict[str, Any] = {"next_run_at": later}
    if later is None:
        values["status"] = RecurringStatus.ENDED
    return row if moved.update(**values) else None


def _last_due(row: RecurringCampaign, now: datetime) -> tuple[datetime, int]:
    """Return the last moment that has come, and the number of earlier ones that nobody fired."""
    assert row.next_run_at is not None
    last, skipped = row.next_run_at, 0
    for moment in Rule.of(row.rule).after(row.next_run_at):
        if moment > now or (row.ends_at is not None and moment > row.ends_at):
            break
        last, skipped = moment, skipped + 1
    return last, skipped


def _make(row: RecurringCampaign, due_at: datetime, skipped: int, now: datetime) -> Campaign:
    """Store the campaign of a moment; one that is too late waits for a person's decision."""
    is_late = now - due_at > timedelta(seconds=settings.LATE_START_WINDOW)
    request = request_of(row, due_at)
    audience = _audience(row)
    check_request(row.account, replace(request, valid_until=None) if is_late else request, audience.columns)
    campaign = services.unsaved_campaign(row.account, row.user, request, audience)
    campaign.recurring, campaign.due_at = row, due_at
    services.launch_recurring(campaign, row.user, is_late=is_late)
    detail = Sentence(gettext_noop("Earlier runs that were skipped: %(count)d."), count=skipped) if skipped else ""
    RecurringCampaign.objects.filter(pk=row.pk).update(
        last_run_at=due_at, run_count=row.run_count + 1, failure_count=0, detail=detail
    )
    logger.info("recurring campaign %s fired for %s: %s", row.recurring_id, due_at.isoformat(), campaign.bulk_id)
    return campaign


def _fail(pk: int, now: datetime, error: SmsappError) -> None:
    """Record why a moment made no campaign. After MAX_FAILURES in succession it is paused."""
    with transaction.atomic():
        row = _claimed(pk, now)
        if row is None:
            return
        failures = row.failure_count + 1
        values: dict[str, Any] = {"failure_count": failures, "detail": error.sentence, "last_run_at": now}
        if failures >= MAX_FAILURES:
            values |= {"status": RecurringStatus.PAUSED, "next_run_at": None}
        RecurringCampaign.objects.filter(pk=pk).update(**values)
        _note(row, "failed", None, after={"detail": error.sentence.english, "failures": failures})
    logger.warning("recurring campaign %s made no campaign: %s", row.recurring_id, error.sentence.english)


def _check_callback(row: RecurringCampaign, callback_url: str) -> None:
    """Look the callback URL up before the transaction that checks it again. Raises CallbackUrlNotAllowed."""
    if callback_url:
        endpoints.check_callback(row.account, row.mode, callback_url)


def _audience(row: RecurringCampaign) -> Audience:
    if row.contact_list is not None:
        return snapshot(row.account, row.contact_list.list_id)
    if row.audience is None:
        raise ValidationError(_("The contact list was deleted."), "list_id")
    return row.audience


def _set_recipients(row: RecurringCampaign, wanted: RecipientSource) -> None:
    row.contact_list = row.audience = None
    if wanted.list_id:
        row.contact_list = list_of(row.account, wanted.list_id)
        return
    row.audience, rejected = gather(row.account, wanted)
    if rejected:
        first = rejected[0].value
        reason = Sentence(
            gettext_noop("Numbers that cannot receive an SMS: %(count)d. The first is %(first)s."),
            count=len(rejected),
            first=first,
        )
        raise ValidationError(reason, "phone_numbers", first)
    check_message(row.message, row.audience.columns)


def _plan(row: RecurringCampaign, rule: Rule, now: datetime) -> None:
    row.next_run_at = _within(row, rule.next_after(now))
    if row.next_run_at is None:
        ends_at = utc_text(row.ends_at) if row.ends_at else None
        raise ValidationError(_("It would end before its first run."), "ends_at", ends_at)


def _within(row: RecurringCampaign, moment: datetime | None) -> datetime | None:
    return None if moment is None or (row.ends_at is not None and moment > row.ends_at) else moment


def _locked(row: RecurringCampaign) -> RecurringCampaign:
    rows = RecurringCampaign.objects.select_for_update(of=("self",)).select_related("account", "rule", "audience")
    locked = rows.get(pk=row.pk)
    if locked.status == RecurringStatus.ENDED:
        raise InvalidState(_("This recurring campaign has ended."), current_status=locked.status)
    return locked


def _move(
    row: RecurringCampaign, by: User, verb: str, to: RecurringStatus, *sources: RecurringStatus
) -> RecurringCampaign:
    with transaction.atomic():
        row = _locked(row)
        if row.status not in sources:
            raise InvalidState(
                _("This is not possible for a recurring campaign in the state “%(status)s”.")
                % {"status": row.get_status_display()},
                current_status=row.status,
                allowed=[source.value for source in sources],
            )
        row.status = to
        if to == RecurringStatus.ACTIVE:
            row.failure_count, row.detail = 0, ""
            _plan(row, Rule.of(row.rule), clock.about_now())
        else:
            row.next_run_at = None
        row.save()
        _note(row, verb, by, after={"status": to.value})
    return row


def _facts(row: RecurringCampaign) -> dict[str, Any]:
    """Return what the audit log may hold of it: never the text."""
    return {
        "name": row.name,
        "sender_id": row.sender_id,
        "rule": str(Rule.of(row.rule)),
        "timezone": str(row.rule.timezone),
        "next_run_at": row.next_run_at.isoformat() if row.next_run_at else None,
        "ends_at": row.ends_at.isoformat() if row.ends_at else None,
    }


def _note(
    row: RecurringCampaign,
    verb: str,
    by: User | None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit.record(
        f"recurring.{verb}",
        account=row.account,
        by=by,
        target_type="recurring",
        target_id=row.recurring_id,
        before=before,
        after=after,
    )
