"""A browser, a platform, and pages that must not complain."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.chromium import chromium, path_of_chromium, sign_in
from tests.browser.pages import furnished
from tests.browser.platform import Platform, running


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if not path_of_chromium():
        pytest.skip("needs Chromium: install Debian's `chromium`, or set CHROMIUM")
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def platform(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("platform")) as started:
        yield started


@pytest.fixture(scope="session")
def pages(platform: Platform) -> dict[str, str]:
    return furnished(platform)


@pytest.fixture(scope="session")
def signed_in(browser: Any, platform: Platform) -> Any:
    """Cookies of the owner, signed in."""
    context = browser.new_context()
    sign_in(context.new_page(), platform.url, platform.username, platform.password)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def open_page(browser: Any, signed_in: Any) -> Iterator[Callable[..., Any]]:
    """A page of a context of its own, the owner's unless `storage_state` says otherwise; whatever the console says of
    errors, broken policies and refused files fails the test."""
    contexts, complaints = [], []

    def opened(**options: Any) -> Any:
        context = browser.new_context(**{"storage_state": signed_in} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        page.complaints = complaints
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
