"""A text as a recipient would get it, for the pages that show one beside the writer's."""

from typing import Any

from accounts.models import Account
from campaigns.texts.rendering import Template
from messaging.preflight.preview import of_sample
from messaging.preflight.text_cost import compose
from smsapp.core.exceptions import SmsappError
from smsapp.lib.text import normalise
from uploads.samples import Sample


def composed_for(
    account: Account, sample: Sample, message: str, index: int, *, is_final: bool = False
) -> dict[str, Any]:
    """`is_final`: its page has no field to change the text in."""
    problem, preview = "", None
    missing: list[str] = []
    try:
        preview = of_sample(normalise(message), sample, index) if message.strip() else None
    except SmsappError as error:
        problem = error.message
        missing = [name for name in Template(normalise(message)).names if name not in sample.columns and not is_final]
    shown = preview.text if preview and preview.text is not None else message
    return {
        "composed": compose(account, shown, own=Template(normalise(message)).own_characters, is_final=is_final),
        "preview": preview,
        "problem": problem,
        "missing": missing,
        "index": index,
        "total": sample.total,
        "before": index - 1 if index > 0 else None,
        "next": index + 1 if index + 1 < len(sample.rows) else None,
    }
