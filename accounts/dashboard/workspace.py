"""The account and mode of a dashboard page. Its address names them, so two tabs never change each other.

An address begins with `/a/<account>/<mode>/`. The middleware takes that part off the path and makes it the request's
script prefix, Django's own means for a site below a path: every address that `reverse` and `{% url %}` make in the page
stays in its workspace.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix, is_valid_path, reverse, set_script_prefix, set_urlconf

from accounts.choices import Mode

PAGES = "smsapp.dashboard.urls"
_PATH = re.compile(rf"/a/(?P<account>[a-z0-9]{{1,16}})/(?P<mode>{'|'.join(Mode.values)})(?P<rest>/.*)", re.DOTALL)


class Workspace(NamedTuple):
    """`account`: its public id."""

    account: str
    mode: Mode

    def __str__(self) -> str:
        return f"{self.account}/{self.mode.value}"

    def address(self, path: str = "/") -> str:
        """Return the address of a dashboard page, given as a path outside of any workspace."""
        return f"{_site_prefix()}a/{self}{path}"


class WorkspaceMiddleware:
    """Sets `request.workspace`, None for an address outside of one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.workspace = None  # type: ignore[attr-defined]
        found = _PATH.fullmatch(request.path_info)
        if found is None or not _is_page(found["rest"]):
            return self.get_response(request)
        workspace = Workspace(found["account"], Mode(found["mode"]))
        request.workspace, request.urlconf = workspace, PAGES  # type: ignore[attr-defined]
        request.path_info = found["rest"]
        with _script_prefix(workspace.address()):
            try:
                return self.get_response(request)
            finally:
                set_urlconf(None)  # Django sets it for the thread, and resets it only when the response is closed


def _is_page(path: str) -> bool:
    """Return whether the dashboard has this page, with the slash that Django would add."""
    return bool(is_valid_path(path, PAGES) or is_valid_path(f"{path}/", PAGES))


def workspace_of(request: HttpRequest) -> Workspace | None:
    workspace: Workspace | None = getattr(request, "workspace", None)
    return workspace


def site_url(name: str, *args: Any) -> str:
    """Like `reverse`, for an address outside of workspaces: signing in, the console, a link for somebody else."""
    with _script_prefix(_site_prefix()):
        return reverse(name, args=args, urlconf=settings.ROOT_URLCONF)


def _site_prefix() -> str:
    """Return the server's own prefix, without that of the workspace."""
    return re.sub(r"a/[a-z0-9]+/[a-z]+/\Z", "", get_script_prefix())


@contextmanager
def _script_prefix(prefix: str) -> Iterator[None]:
    before = get_script_prefix()
    set_script_prefix(prefix)
    try:
        yield
    finally:
        set_script_prefix(before)
