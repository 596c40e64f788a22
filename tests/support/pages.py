"""Pages for tests: their addresses, and a browser that stays in one account and mode, as who follows links does."""

import re
from collections.abc import Iterator
from typing import Any

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse, set_script_prefix

from accounts.choices import Mode, Role
from accounts.dashboard.workspace import Workspace
from accounts.models import Account, Membership
from campaigns.models import Campaign
from tests.support.factories import MembershipFactory

#: What belongs to no workspace, by its beginning.
OUTSIDE = (
    "/a/",
    "/admin",
    "/api/",
    "/callbacks/",
    "/health",
    "/metrics",
    "/o/",
    "/static/",
    "/sw.js",
    "/manifest",
    "/offline",
    "/accounts/sign-",
    "/accounts/invitations/",
    "http",
)
#: A script or style that the content security policy would not run.
INLINE = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|<style|\sstyle=|\son[a-z]+=")


class Browser(Client):
    """Once somebody is signed in, `get("/campaigns/")` asks for the page of their oldest account, live, and `reverse`
    gives addresses within it, as on its pages. `close` ends that."""

    workspace: Workspace | None = None

    def force_login(self, user: Any, backend: str | None = None) -> None:
        super().force_login(user, backend)
        self.close()
        first = Membership.objects.filter(user=user).select_related("account").order_by("pk").first()
        if first:
            self.enter(first.account)

    def enter(self, account: Account, mode: Mode = Mode.LIVE) -> None:
        self.close()
        self.workspace = Workspace(account.public_id, mode)
        set_script_prefix(self.workspace.address())

    def close(self) -> None:
        set_script_prefix("/")
        self.workspace = None

    def generic(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        if not self.workspace:
            return super().generic(method, path, *args, **kwargs)
        rest = path.removeprefix(self.workspace.address().rstrip("/"))
        path = rest if rest.startswith(OUTSIDE) else self.workspace.address(rest)
        set_script_prefix("/")  # as the server does
        try:
            return super().generic(method, path, *args, **kwargs)
        finally:
            set_script_prefix(self.workspace.address())


def member(client: Client, account: Account, role: Role = Role.OWNER) -> Client:
    """The client, signed in as a new member of the account."""
    client.force_login(MembershipFactory(account=account, role=role).user)
    return client


def html_of(response: Any) -> str:
    """Return a page's HTML without the blanks beside its tags, so that it can be compared however it is indented."""
    return re.sub(r"\s*(<[^>]*>)\s*", r"\1", re.sub(r"\s+", " ", response.content.decode()))


def campaign_url(name: str, campaign: Campaign) -> str:
    return reverse(name, args=[campaign.bulk_id])


def addresses(patterns: list[Any] | None = None, before: str = "/") -> Iterator[str]:
    """One of every route."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = before + re.sub(r"<[^>]+>", "1", str(pattern.pattern)).replace("^", "").replace("$", "")
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and "(?P" not in route:
            yield route
