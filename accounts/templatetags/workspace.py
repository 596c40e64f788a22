"""What pages say of the account and mode they are about. `accounts/workspace.py`"""

from typing import Any

from django import template
from django.middleware.csrf import get_token
from django.template.context import RequestContext
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import workspace
from accounts.current import RENDERED_FOR

register = template.Library()

register.simple_tag(workspace.site_url, name="site_url")


@register.simple_tag(takes_context=True)
def form_token(context: RequestContext) -> SafeString:
    """The hidden fields of every form of the dashboard: against forgery, and the workspace that its page is about."""
    request: Any = context["request"]
    found = workspace.workspace_of(request)
    fields = format_html('<input type="hidden" name="csrfmiddlewaretoken" value="{}">', get_token(request))
    if found is None:
        return fields
    return fields + format_html('<input type="hidden" name="{}" value="{}">', RENDERED_FOR, found)
