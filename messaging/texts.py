"""The final text of messages: a campaign's text with a row's values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import orjson

from campaigns.rendering import EmptyValue, Template

if TYPE_CHECKING:
    from campaigns.models import Campaign
    from messaging.models import Message

#: Values of one row, as stored on the message (a JSON array, or empty), to the final text.
RenderStored = Callable[[str], str]


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
    try:
        return renderer_for(message.campaign)(message.variables)
    except EmptyValue:
        return message.campaign.message
