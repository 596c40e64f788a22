"""A browser of the dashboard for tests: it stays in one account and mode, as a person does who follows links."""

from typing import Any

from django.test import Client
from django.urls import set_script_prefix

from accounts.choices import Mode
from accounts.dashboard.workspace import Workspace
from accounts.models import Account, Membership

#: What belongs to no workspace, by its beginning.
OUTSIDE = (
    "/a/", "/admin", "/api/", "/callbacks/", "/health", "/metrics", "/o/", "/static/", "/sw.js", "/manifest",
    "/offline", "/accounts/sign-", "/accounts/invitations/", "http",
)  # fmt: skip


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
