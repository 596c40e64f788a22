"""How each kind of send makes its texts. A single send has no values to fill in: its text is sent as it is written."""

from collections.abc import Sequence

from campaigns.choices import CampaignKind
from campaigns.rendering import Renderer, Template


def renderer_of(kind: str, text: str, columns: Sequence[str]) -> Renderer:
    """Return how a send of this kind makes its messages. Raises TemplateVariableMissing."""
    return Renderer([text]) if kind == CampaignKind.SINGLE else Template(text).bind(columns)
