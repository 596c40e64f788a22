"""What a sending door was asked for, as services understand it."""

from collections.abc import Mapping
from typing import Any

from accounts.choices import Mode
from campaigns.choices import CampaignKind
from campaigns.services import CampaignRequest
from smsapp.lib.text import normalise
from smsapp.middleware import current_request_id


def campaign_request(data: Mapping[str, Any], kind: CampaignKind, mode: str) -> CampaignRequest:
    return CampaignRequest(
        kind=kind,
        message=normalise(data["message"]),
        name=data["name"],
        sender_id=data["sender_id"],
        mode=Mode(mode),
        scheduled_at=data["schedule_time"],
        valid_until=data["valid_until"],
        callback_url=data["callback_url"],
        request_id=current_request_id(),
    )
