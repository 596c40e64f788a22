"""What every page shows in the same way: moments, states, figures, the way to a page."""

from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

register = template.Library()

STYLES = {"": "", "moment": SafeString(" data-moment"), "seconds": SafeString(" data-seconds")}


@register.simple_tag
def time(at: datetime | None, style: str = "") -> SafeString:
    """Return a `<time>` in UTC, which times.js shows in the reader's zone, or a dash.

    `style`: "" for "5 minutes ago" when it is near, "moment" for the moment itself whatever its distance, as a
    sentence needs it, and "seconds" for the moment with its seconds.
    """
    if at is None:
        return format_html('<span class="text-body-secondary" aria-label="{}">–</span>', gettext("none"))
    at = at.astimezone(UTC)
    shown = date_format(at, "j M Y, H:i:s" if style == "seconds" else "j M Y, H:i")
    return format_html('<time datetime="{}"{}>{} UTC</time>', at.isoformat(), STYLES[style], shown)


@register.simple_tag
def state(key: str, label: Any) -> SafeString:
    """Return a state as a coloured dot and a word."""
    return format_html('<span class="state state-{}">{}</span>', key, gettext(str(label)))


@register.simple_tag
def figure(label: Any, value: Any, note: Any = "") -> SafeString:
    """Return one of the large figures at the top of a page, for `<dl class="figures">`; `note`: small, below it."""
    small = format_html("<small>{}</small>", note) if note else ""
    return format_html("<div><dt>{}</dt><dd>{}{}</dd></div>", label, value, small)


@register.inclusion_tag("partials/breadcrumb.html")
def breadcrumb(*way: Any) -> dict[str, Any]:
    """Return the way to a page: pairs of a label and its address, and the name of the page itself."""
    *links, here = way
    return {"links": list(zip(links[::2], links[1::2], strict=True)), "here": here}
