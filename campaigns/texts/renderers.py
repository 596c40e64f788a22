"""How each kind of send makes its texts. A single send without values to fill in is sent as it is written."""

from collections.abc import Sequence

from campaigns.choices import CampaignKind
from campaigns.texts.rendering import Renderer, Template


def renderer_of(kind: str, text: str, columns: Sequence[str]) -> Renderer:
    """Return how a send of this kind makes its messages. Raises TemplateVariableMissing."""
    is_plain = kind == CampaignKind.SINGLE and not columns
    return Renderer([text]) if is_plain else Template(text).bind(columns)
