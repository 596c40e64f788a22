"""Drafts: campaigns in the making, and copies of earlier ones. Nothing is sent before a draft is launched."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, User
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign, DraftPlan, RecurringCampaign
from campaigns.recipients import RecipientSource, gather
from campaigns.scheduling.rule import Rule
from campaigns.services import create_campaign, save_new, unsaved_campaign
from campaigns.transitions import locked_campaign, note, require_draft
from campaigns.validation import CampaignRequest, check_message, check_request, request_of, write_request
from smsapp.core.exceptions import InvalidState, Problems
from uploads.audiences import empty_audience
from uploads.chunks import RefusedRow
from uploads.contacts import list_of
from uploads.models import Audience, Upload


def create_draft(
    account: Account, user: User, request: CampaignRequest, wanted: RecipientSource | None = None
) -> tuple[Campaign, list[RefusedRow]]:
    """Create a draft, and return it with the rejected numbers. Raises an SmsappError."""
    problems = Problems()
    problems.check(check_request, account, request, columns=None)
    with transaction.atomic():
        gathered = problems.check(gather, account, wanted) if wanted else (empty_audience(account), [])
        problems.refuse()
        assert gathered is not None
        audience, refused = gathered
        _check_placeholders(request, audience)
        draft = unsaved_campaign(account, user, request, audience)
        save_new(draft)
        if wanted and wanted.list_id:
            _plan(draft, wanted)
        note(draft, "created", user, after=_facts(draft))
    return draft, refused


def start_bulk(
    account: Account, user: User, request: CampaignRequest, recipients: RecipientSource
) -> tuple[Campaign, list[RefusedRow]]:
    """Create and launch a campaign, and return it with the rejected numbers.

    Raises an SmsappError that names every problem; then nothing is stored.
    """
    problems = Problems()
    problems.check(check_request, account, request, columns=None)
    with transaction.atomic():
        gathered = problems.check(gather, account, recipients)
        problems.refuse()
        assert gathered is not None
        audience, refused = gathered
        return create_campaign(account, user, request, audience), refused


def change_draft(
    campaign: Campaign, by: User, changes: Mapping[str, Any], wanted: RecipientSource | None = None, **plan: Any
) -> tuple[Campaign, list[RefusedRow]]:
    """Change a draft, and return it with the rejected numbers.

    `changes`: fields of a CampaignRequest by name. `plan`: `rule`, which makes it a recurring campaign, or None.
    Raises InvalidState unless it is a draft, or an SmsappError if it could not be sent like this.
    """
    require_draft(campaign)
    check_change(campaign, changes)
    with transaction.atomic():
        draft = locked_campaign(campaign)
        require_draft(draft)
        before, old_audience = _facts(draft), draft.audience
        request = replace(request_of(draft), **changes)
        refused: list[RefusedRow] = []
        if wanted:
            draft.audience, refused = gather(draft.account, wanted)
            draft.total_recipients, draft.chunk_count = draft.audience.recipient_count, draft.audience.chunk_count
        _check_placeholders(request, draft.audience)
        fields = write_request(draft, request)
        save_new(draft, [*fields, "audience", "total_recipients", "chunk_count"])
        _plan(draft, wanted, **plan)
        if wanted:
            _forget(old_audience)
        note(draft, "changed", by, before=before, after=_facts(draft) | {"changed": sorted(changes)})
    return draft, refused


def rule_of(draft: Campaign) -> Rule | None:
    """Return the rule that makes the draft a recurring campaign, if it has one."""
    plan = DraftPlan.objects.filter(campaign=draft).first()
    return Rule(**plan.rule) if plan and plan.rule else None


def recipients_of(draft: Campaign) -> RecipientSource | None:
    """Return where the draft's recipients come from: a contact list or an upload."""
    plan = DraftPlan.objects.filter(campaign=draft).select_related("contact_list").first()
    if plan is not None and plan.contact_list is not None:
        return RecipientSource(list_id=plan.contact_list.list_id)
    upload = Upload.objects.filter(audience=draft.audience_id).first()
    return RecipientSource(upload_id=upload.upload_id) if upload else None


def delete_draft(campaign: Campaign, by: User) -> None:
    """Delete a draft. Raises InvalidState for a campaign in any other state."""
    with transaction.atomic():
        draft = locked_campaign(campaign)
        require_draft(draft)
        note(draft, "deleted", by, before=_facts(draft))
        draft.delete()
        _forget(draft.audience)


def clone(campaign: Campaign, by: User) -> Campaign:
    """Create a draft with the text, sender, recipients and contact list of a bulk campaign.

    Times and client_reference belong to one send, so the copy has none. Raises InvalidState.
    """
    with transaction.atomic():
        original = locked_campaign(campaign)  # so that its recipients are not removed meanwhile
        if original.kind != CampaignKind.BULK or (original.resend_of_id and original.status == CampaignStatus.DRAFT):
            raise InvalidState(
                _("Only a bulk campaign whose recipients are known can be copied."), current_status=original.status
            )
        request = replace(request_of(original), scheduled_at=None, valid_until=None, client_reference=None)
        copy = unsaved_campaign(original.account, by, request, original.audience)
        save_new(copy)
        if plan := DraftPlan.objects.filter(campaign=original, contact_list__isnull=False).first():
            DraftPlan.objects.create(campaign=copy, contact_list_id=plan.contact_list_id)
        note(copy, "created", by, after=_facts(copy) | {"cloned_from": original.bulk_id})
    return copy


def _plan(draft: Campaign, wanted: RecipientSource | None, **values: Any) -> None:
    if "rule" in values and values["rule"] is not None:
        values["rule"] = values["rule"].fields
    if wanted:
        values["contact_list"] = list_of(draft.account, wanted.list_id) if wanted.list_id else None
    if any(values.values()) or (values and DraftPlan.objects.filter(campaign=draft).exists()):
        DraftPlan.objects.update_or_create(campaign=draft, defaults=values)


def check_change(draft: Campaign, changes: Mapping[str, Any]) -> None:
    """Check a draft with these changes. Raises an SmsappError that names every problem.

    Times are checked only if they change: one that has passed is refused when the draft is launched.
    """
    request = replace(request_of(draft), **changes)
    if not {"scheduled_at", "valid_until"} & set(changes):
        request = replace(request, scheduled_at=None, valid_until=None)
    check_request(draft.account, request, columns=None)


def _check_placeholders(request: CampaignRequest, audience: Audience) -> None:
    if audience.recipient_count:
        check_message(request.message, audience.columns)


def _forget(audience: Audience) -> None:
    """Delete recipients that nothing uses any more. An upload keeps its own."""
    users = (Campaign, RecurringCampaign, Upload)
    if not any(model.objects.filter(audience=audience).exists() for model in users):
        audience.delete()


def _facts(draft: Campaign) -> dict[str, Any]:
    """Return what the audit log may hold of a draft: never the text."""
    return {
        "name": draft.name,
        "sender_id": draft.sender_id,
        "scheduled_at": draft.scheduled_at.isoformat() if draft.scheduled_at else None,
        "valid_until": draft.valid_until.isoformat() if draft.valid_until else None,
        "total_recipients": draft.total_recipients,
        "source": draft.audience.source,
    }
