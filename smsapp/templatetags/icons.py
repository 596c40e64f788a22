"""`{% icon "paper-plane" "me-2" %}`: an icon beside words. Screen readers skip it."""

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from smsapp.dashboard.icons import ICONS

register = template.Library()


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """Return an icon of the sprite. Raises LookupError if it is not in there."""
    if name not in ICONS:
        raise LookupError(f"There is no icon {name!r}: add it to smsapp/dashboard/icons.py and run `manage.py assets`.")
    address = f"{static('vendor/icons.svg')}#{name}"
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}"></use></svg>', classes, address
    )
