"""`{% icon "paper-plane" "me-2" %}`: an icon beside words, which alone are read out."""

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from smsapp.dashboard.icons import ICONS

register = template.Library()


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """Raises LookupError for one that is not in the sprite."""
    if name not in ICONS:
        raise LookupError(f"There is no icon {name!r}: add it to smsapp/dashboard/icons.py and run `manage.py assets`.")
    address = f"{static('vendor/icons.svg')}#{name}"
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}"></use></svg>', classes, address
    )
