"""Message templates. A campaign copies the text, so changing a template changes no campaign."""

import secrets
from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, User
from accounts.security import audit
from campaigns.models import MessageTemplate
from campaigns.validation import check_text
from smsapp.core.exceptions import AlreadyExists, InvalidState, NotFound
from smsapp.lib.sentences import Sentence, gettext_noop

MAX_TEMPLATES = 1000  # of one account


def template_of(account: Account, template_id: str) -> MessageTemplate:
    """Return the template with this id. Raises NotFound."""
    found = MessageTemplate.objects.filter(account=account, template_id=template_id).first()
    if found is None:
        raise NotFound(_("There is no such template."), field="template_id", value=template_id)
    return found


def create_template(account: Account, user: User, name: str, message: str) -> MessageTemplate:
    """Store a new template.

    Raises AlreadyExists, ValidationError, MessageTooLong, or InvalidState if the account has MAX_TEMPLATES.
    """
    check_text(message)
    if MessageTemplate.objects.filter(account=account)[MAX_TEMPLATES - 1 : MAX_TEMPLATES].exists():
        reason = Sentence(gettext_noop("An account has at most %(max)s templates."), max=f"{MAX_TEMPLATES:,}")
        raise InvalidState(reason, max=MAX_TEMPLATES)
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
        raise AlreadyExists(_("There already is a template with this name."), "name", template.name) from error


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
