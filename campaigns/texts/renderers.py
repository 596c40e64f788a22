"""The renderer of each kind of send. A single send without columns is sent exactly as written."""

from collections.abc import Sequence

from campaigns.choices import CampaignKind
from campaigns.texts.rendering import Renderer, Template


def renderer_of(kind: str, text: str, columns: Sequence[str]) -> Renderer:
    """Return the renderer of a send of this kind. Raises TemplateVariableMissing."""
    is_plain = kind == CampaignKind.SINGLE and not columns
    return Renderer([text]) if is_plain else Template(text).bind(columns)
