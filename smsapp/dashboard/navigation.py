"""The frame of every page: navigation by the scopes of the role, and links to the other modes and accounts."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.choices import Mode, Scope
from accounts.dashboard.decorators import may
from accounts.dashboard.workspace import workspace_of


class Entry(NamedTuple):
    """`views`: prefixes of the names of other pages that belong to this entry."""

    label: Any
    icon: str
    view: str
    scope: Scope
    views: tuple[str, ...] = ()


NAVIGATION: tuple[tuple[Any, tuple[Entry, ...]], ...] = (
    (
        "",
        (
            Entry(_("Overview"), "gauge-high", "overview", Scope.CAMPAIGNS_READ),
            Entry(_("Send a message"), "paper-plane", "send", Scope.MESSAGES_SEND),
            Entry(_("New campaign"), "bullhorn", "new-campaign", Scope.CAMPAIGNS_WRITE, ("wizard-",)),
        ),
    ),
    (
        _("Sent"),
        (
            Entry(_("Campaigns"), "layer-group", "campaign-list", Scope.CAMPAIGNS_READ, ("campaign-", "recurring")),
            Entry(_("Messages"), "magnifying-glass", "message-search", Scope.MESSAGES_READ, ("message-",)),
            Entry(_("Reports"), "chart-column", "reports", Scope.MESSAGES_READ),
            Entry(_("Inbox"), "inbox", "inbox", Scope.MESSAGES_READ),
            Entry(_("Approvals"), "user-check", "approvals", Scope.CAMPAIGNS_READ),
        ),
    ),
    (
        _("Recipients"),
        (
            Entry(_("Contacts"), "address-book", "contact-lists", Scope.CONTACTS_READ, ("contact-",)),
            Entry(_("Uploads"), "file-arrow-up", "upload-list", Scope.CONTACTS_READ, ("upload-",)),
            Entry(_("Opt-outs"), "hand", "opt-outs", Scope.CONTACTS_READ, ("opt-outs-",)),
        ),
    ),
    (
        _("Set up"),
        (
            Entry(_("Templates"), "file-lines", "templates", Scope.CAMPAIGNS_READ, ("template-",)),
            Entry(_("Senders"), "id-badge", "senders", Scope.ACCOUNT_READ, ("sender-",)),
            Entry(_("Usage and credit"), "wallet", "usage", Scope.ACCOUNT_READ),
            Entry(_("Developers"), "code", "developers", Scope.WEBHOOKS_READ, ("key-", "webhook-", "requests")),
            Entry(_("Team"), "users", "team", Scope.ACCOUNT_READ, ("team-",)),
            Entry(_("Account settings"), "sliders", "account-settings", Scope.ACCOUNT_READ),
        ),
    ),
)


class Link(NamedTuple):
    label: Any
    icon: str
    url: str
    is_current: bool


def frame(request: HttpRequest) -> dict[str, Any]:
    """Return the template context of the frame: `navigation` as (heading, links), `mode`, `modes` and `accounts`."""
    membership, workspace = getattr(request, "membership", None), workspace_of(request)
    if membership is None or workspace is None:
        return {}
    match = request.resolver_match
    here = match.view_name if match else ""
    navigation = [(heading, list(_links(entries, membership, here))) for heading, entries in NAVIGATION]
    # An object belongs to one account and often to one mode, so its page leads to the overview of the others.
    path = request.path_info if match and not match.kwargs and request.method == "GET" else "/"
    return {
        "navigation": [(heading, links) for heading, links in navigation if links],
        "mode": workspace.mode,
        "modes": [
            Link(mode.label, mode.value, workspace._replace(mode=mode).address(path), mode == workspace.mode)
            for mode in Mode
        ],
        "accounts": [
            Link(one.account.name, "", workspace._replace(account=one.account.public_id).address(), one == membership)
            for one in getattr(request, "memberships", [])
        ],
    }


def _links(entries: tuple[Entry, ...], membership: Any, here: str) -> Iterator[Link]:
    for entry in entries:
        if may(membership, entry.scope):
            is_current = here == entry.view or bool(entry.views and here.startswith(entry.views))
            yield Link(entry.label, entry.icon, reverse(entry.view), is_current)
