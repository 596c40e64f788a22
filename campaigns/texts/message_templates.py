"""Texts kept to be used again. A campaign takes a copy: changing the template changes nothing that was made with it."""

import secrets
from collections.abc import Mapping

from django.db import IntegrityError, transaction

from accounts.models import Account, User
from accounts.security import audit
from campaigns.models import MessageTemplate
from campaigns.validation import check_text
from smsapp.core.exceptions import AlreadyExists, InvalidState, NotFound

MAX_TEMPLATES = 1000  # of one account


def template_of(account: Account, template_id: str) -> MessageTemplate:
    """Raises NotFound."""
    found = MessageTemplate.objects.filter(account=account, template_id=template_id).first()
    if found is None:
        raise NotFound("There is no such template.", field="template_id", value=template_id)
    return found


def create_template(account: Account, user: User, name: str, message: str) -> MessageTemplate:
    """Raises AlreadyExists, ValidationError, MessageTooLong, or InvalidState with MAX_TEMPLATES already."""
    check_text(message)
    if MessageTemplate.objects.filter(account=account)[MAX_TEMPLATES - 1 : MAX_TEMPLATES].exists():
        raise InvalidState(f"An account has {MAX_TEMPLATES:,} templates at most.", max=MAX_TEMPLATES)
    template = MessageTemplate(
        account=account, user=user, name=name, message=message, template_id=f"tpl-{secrets.token_hex(10)}"
    )
    with transaction.atomic():
        _save(template)
        _note("created", template, user, after={"name": name})
    return template


def change_template(template: MessageTemplate, by: User, changes: Mapping[str, str]) -> MessageTemplate:
    """Change `name`, `message` or both. Raises AlreadyExists, ValidationError or MessageTooLong."""
    if "message" in changes:
        check_text(changes["message"])
    before = template.name
    for field, value in changes.items():
        setattr(template, field, value)
    with transaction.atomic():
        _save(template)
        _note("changed", template, by, {"name": before}, {"name": template.name, "changed": sorted(changes)})
    return template


def delete_template(template: MessageTemplate, by: User) -> None:
    with transaction.atomic():
        _note("deleted", template, by, before={"name": template.name})
        template.delete()


def _save(template: MessageTemplate) -> None:
    try:
        with transaction.atomic():
            template.save()
    except IntegrityError as error:
        raise AlreadyExists("There is a template of this name.", "name", template.name) from error


def _note(
    verb: str,
    template: MessageTemplate,
    by: User,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    audit.record(
        f"template.{verb}",
        account=template.account,
        by=by,
        target_type="template",
        target_id=template.template_id,
        before=before,
        after=after,
    )
