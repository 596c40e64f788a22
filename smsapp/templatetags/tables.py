"""`{% table %}` and its cells.

On a phone a row becomes a block, in which each cell shows its `data-label`. A column is sorted by its `data-value`.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from smsapp.templatetags.display import time

register = template.Library()


@register.simple_block_tag
def table(content: str, caption: Any, style: str = "", *, is_sortable: bool = False) -> SafeString:
    """Wrap a head and rows. The caption is for screen readers; `style`: more classes."""
    sortable = mark_safe(" data-sortable") if is_sortable else ""
    hidden = format_html('<caption class="visually-hidden">{}</caption>', caption)
    opening = format_html('<table class="table stack-table mb-0 align-middle {}"{}>', style, sortable)
    return format_html("{}{}{}</table>", opening, hidden, content)


@register.simple_tag
def number_cell(label: Any, value: int | float | Decimal | None, shown: Any = None) -> SafeString:
    """Return the cell of a number; `shown`: how it is written, if not as "1,234"."""
    return format_html(
        '<td class="text-end number" data-label="{}" data-value="{}">{}</td>',
        label,
        "" if value is None else value,
        intcomma("" if value is None else value) if shown is None else shown,
    )


@register.simple_tag
def time_cell(label: Any, at: datetime | None, style: str = "") -> SafeString:
    """Return the cell of a moment, as `{% time %}` shows it."""
    return format_html(
        '<td data-label="{}" data-value="{}">{}</td>', label, at.isoformat() if at else "", time(at, style)
    )
