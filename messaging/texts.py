"""The final text of messages: a campaign's text with a row's values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import orjson

from campaigns.links import blank, filled
from campaigns.rendering import EmptyValue, Template
from messaging.choices import Reason
from smsapp.lib.text import MAX_TEXT_LENGTH

if TYPE_CHECKING:
    from campaigns.models import Campaign
    from campaigns.rendering import Renderer
    from messaging.models import Message

#: Values of one row, as stored on the message (a JSON array, or empty), to the final text.
RenderStored = Callable[[str], str]


class Unfit(Exception):
    """No text can be made for a recipient, or none that could be sent. `detail`: the placeholder without a value, or
    the length of the text."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def fit_text(renderer: Renderer, values: Sequence[str]) -> str:
    """The text for one recipient's values, as long as the final one; raises Unfit."""
    try:
        text = blank(renderer.render(values))
    except EmptyValue as missing:
        raise Unfit(Reason.MISSING_VALUE, missing.name[:120]) from None
    if not text or text.isspace():
        raise Unfit(Reason.EMPTY_TEXT)
    if len(text) > MAX_TEXT_LENGTH:
        raise Unfit(Reason.TEXT_TOO_LONG, str(len(text)))
    return text


def renderer_for(campaign: Campaign) -> RenderStored:
    """How this campaign's messages read. Campaigns without placeholders cost nothing per message."""
    renderer = Template(campaign.message).bind(campaign.audience.columns)
    if renderer.is_constant:
        text = renderer.render(())
        return lambda variables: text
    return lambda variables: renderer.render(orjson.loads(variables))


def stored_values(rows: Iterable[Sequence[str]]) -> list[bytes]:
    """Values of rows as they are stored on their messages: one JSON array each, in UTF-8."""
    return list(map(orjson.dumps, rows))


def text_of(message: Message) -> str:
    """One message's final text; the campaign's own text where a value it needs is missing."""
    campaign = message.campaign
    try:
        return filled(renderer_for(campaign)(message.variables), campaign.account_id, message.phone_number)
    except EmptyValue:
        return campaign.message
