"""The audit log: who did what to what, before and after, from where. Written in the transaction of the act."""

from collections.abc import Mapping
from typing import Any

from accounts.models import Account, AuditEvent, User
from smsapp.middleware import current_call


def record(
    action: str,
    *,
    account: Account | None,
    by: User | None,
    target_type: str = "",
    target_id: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Note one act, e.g. `campaign.paused` on `campaign` `bulk-…`. `by`: None for the service itself.

    `before` and `after` hold what changed, of JSON types, never a secret or a text. Address, request id and key are
    those of the call under way.
    """
    call = current_call()
    AuditEvent.objects.create(
        account=account,
        user=by,
        api_key_prefix=call.api_key_prefix,
        action=action,
        target_type=target_type,
        target_id=target_id,
        before=dict(before or {}),
        after=dict(after or {}),
        ip_address=call.ip_address or None,
        request_id=call.request_id,
    )
