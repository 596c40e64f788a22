"""Addresses and forms of the workspace of a page: `accounts/dashboard/workspace.py`."""

import secrets
from typing import Any

from django import template
from django.middleware.csrf import get_token
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.dashboard import workspace
from accounts.dashboard.decorators import RENDERED_FOR
from accounts.dashboard.once import FIELD as ONCE

register = template.Library()

register.simple_tag(workspace.site_url, name="site_url")


@register.simple_tag(takes_context=True)
def form_token(context: RequestContext, once: str = "") -> SafeString:
    """Return the hidden fields of every form: the CSRF token, the workspace of its page and a token for doing it once.

    `once`: the token of a form that is sent again, otherwise a new one.
    """
    request: Any = context["request"]
    found = workspace.workspace_of(request)
    fields = {"csrfmiddlewaretoken": get_token(request), ONCE: once or secrets.token_hex(16)}
    if found is not None:
        fields[RENDERED_FOR] = str(found)
    return format_html_join("", '<input type="hidden" name="{}" value="{}">', fields.items())


@register.inclusion_tag("partials/action.html", takes_context=True)
def action(context: RequestContext, view: str, *args: str, **look: Any) -> dict[str, Any]:
    """Return a button that posts to a view. `look`: its label, its style in Bootstrap's names, an icon, an id, and
    `confirm`, what the browser asks first."""
    return {"request": context["request"], "url": reverse(view, args=args), **look}
