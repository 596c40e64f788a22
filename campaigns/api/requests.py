"""What a sending door was asked for, as services understand it."""

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework.request import Request

from accounts.access.principal import Caller, caller_of
from accounts.models import Account
from accounts.webhooks import endpoints
from campaigns.choices import CampaignKind
from campaigns.recipients import RecipientSource, require_numbers
from campaigns.texts.message_templates import template_of
from campaigns.validation import CampaignRequest, check_request
from smsapp.api.openapi.schema import may_fail
from smsapp.core.context import current_request_id
from smsapp.core.exceptions import (
    AccountSuspended,
    CallbackUrlNotAllowed,
    DestinationBlocked,
    DuplicateReference,
    InsufficientCredit,
    InvalidPhoneNumber,
    MessageTooLong,
    NotFound,
    Problems,
    QuotaExceeded,
    RecipientLimitReached,
    RecipientOptedOut,
    ScheduleInPast,
    SenderNotAllowed,
    SpendLimitReached,
    TemplateVariableMissing,
    TooManyRecipients,
    UploadInvalid,
    UploadNotReady,
)
from smsapp.lib.text import normalise

#: What may be wrong with whatever sends, beside the shape of the request.
SEND_ERRORS = (
    AccountSuspended,
    CallbackUrlNotAllowed,
    DestinationBlocked,
    DuplicateReference,
    InsufficientCredit,
    InvalidPhoneNumber,
    MessageTooLong,
    NotFound,
    QuotaExceeded,
    RecipientLimitReached,
    RecipientOptedOut,
    ScheduleInPast,
    SenderNotAllowed,
    SpendLimitReached,
    TemplateVariableMissing,
    TooManyRecipients,
    UploadInvalid,
    UploadNotReady,
)
SEND_FAILURES = may_fail(*SEND_ERRORS)
#: A single send has no template, upload or list that could be wrong.
_OF_CAMPAIGNS = (NotFound, TemplateVariableMissing, UploadInvalid, UploadNotReady)
SINGLE_FAILURES = may_fail(*(error for error in SEND_ERRORS if error not in _OF_CAMPAIGNS))
#: Fields of a request and of the service that have other names.
NAMES = {
    "schedule_time": "scheduled_at",
    "canary_wait_seconds": "canary_wait",
    "canary_floor_percent": "canary_floor",
}
TO_WHOM = ("phone_numbers", "upload_id", "list_id")
ANY_TEXT = "-"  # where another field is wrong and the text, too


def campaign_request(data: Mapping[str, Any], kind: CampaignKind, caller: Caller) -> CampaignRequest:
    """Of a checked form of a whole request. Raises NotFound for another account's template."""
    changes = changes_of(data, caller.account)
    return CampaignRequest(kind=kind, mode=caller.mode, request_id=current_request_id(), **changes)


def look_up_callback(request: Request, check: Callable[[], object]) -> None:
    """Look the callback URL of a request up, before the transaction in which it is used. Raises CallbackUrlNotAllowed,
    once `check`, of the whole request, has found nothing that names more."""
    assert isinstance(request.data, dict)
    url = request.data.get("callback_url")
    if isinstance(url, str) and url:
        caller = caller_of(request)
        try:
            endpoints.check_callback(caller.account, caller.mode, url)
        except CallbackUrlNotAllowed:
            check()
            raise


def check_campaign(request: Request, data: Mapping[str, Any]) -> None:
    """What campaigns are checked for, of the fields that are there. Raises an SmsappError, which names all of it."""
    caller, problems = caller_of(request), Problems()
    wanted = campaign_request({"message": ANY_TEXT, **data}, CampaignKind.BULK, caller)
    problems.check(check_request, caller.account, wanted, columns=None)
    if "phone_numbers" in data:
        problems.check(require_numbers, caller.account, data["phone_numbers"])
    problems.refuse()


def changes_of(data: Mapping[str, Any], account: Account) -> dict[str, Any]:
    """Fields of a CampaignRequest by name, as far as the form has them."""
    changes = {NAMES.get(name, name): value for name, value in data.items() if name not in TO_WHOM}
    if template_id := changes.pop("template_id", None):
        changes["message"] = template_of(account, template_id).message
    elif "message" in changes:
        changes["message"] = normalise(changes["message"])
    return changes


def recipients_of(data: Mapping[str, Any]) -> RecipientSource | None:
    """None if the form names none."""
    named = {name: data[name] for name in TO_WHOM if name in data}
    return RecipientSource(**named) if named else None
