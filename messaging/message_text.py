"""The final text of messages: a campaign's text with a row's values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import orjson

from campaigns.texts.opt_out_links import blank_link, link_of
from campaigns.texts.renderers import renderer_of
from campaigns.texts.rendering import EmptyValue
from messaging.choices import Reason
from smsapp.lib.text import MAX_TEXT_LENGTH

if TYPE_CHECKING:
    from campaigns.models import Campaign
    from campaigns.texts.rendering import Renderer
    from messaging.models import Message

#: From a row's values, as stored on the message (a JSON array, or empty), and phone number (E.164) to the final text.
RenderStored = Callable[[str, str], str]


class Unfit(Exception):
    """No text can be made for a recipient, or none that could be sent. `detail`: the placeholder, or the length."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def fit_text(renderer: Renderer, values: Sequence[str]) -> str:
    """Return the text for one recipient's values, as long as the final one. Raises Unfit."""
    try:
        text = renderer.render(values, blank_link() if renderer.has_link else "")
    except EmptyValue as missing:
        raise Unfit(Reason.MISSING_VALUE, missing.name[:120]) from None
    if not text or text.isspace():
        raise Unfit(Reason.EMPTY_TEXT)
    if len(text) > MAX_TEXT_LENGTH:
        raise Unfit(Reason.TEXT_TOO_LONG, str(len(text)))
    return text


def renderer_for(campaign: Campaign) -> RenderStored:
    """Return how this campaign's messages are rendered."""
    return stored_renderer(campaign.kind, campaign.message, campaign.audience.columns, campaign.account_id)


def stored_renderer(kind: str, text: str, columns: Sequence[str], account_id: int) -> RenderStored:
    """Return how messages of this kind are rendered. Without placeholders, a text costs nothing per message."""
    renderer = renderer_of(kind, text, columns)
    if renderer.is_constant and not renderer.has_link:
        constant = renderer.render(())
        return lambda variables, phone: constant

    def render(variables: str, phone: str) -> str:
        values = orjson.loads(variables) if variables else ()
        return renderer.render(values, link_of(account_id, phone) if renderer.has_link else "")

    return render


def stored_values(rows: Iterable[Sequence[str]]) -> list[bytes]:
    """Return the values of rows as stored on messages: one JSON array each, in UTF-8."""
    return list(map(orjson.dumps, rows))


def text_of(message: Message) -> str:
    """Return one message's final text; the campaign's own text where a value is missing."""
    return made_text(renderer_for(message.campaign), message, message.campaign.message)


def made_text(render: RenderStored, message: Message, template: str) -> str:
    """Like `text_of`, for callers with many messages. `template`: their campaign's own text."""
    try:
        return render(message.variables, message.phone_number)
    except EmptyValue:
        return template
