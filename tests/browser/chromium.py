"""The machine's own Chromium, driven by Playwright."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

IN_A_WORKSPACE = re.compile(r"/a/[a-z0-9]+/[a-z]+/")
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def path_of_chromium() -> str:
    """CHROMIUM, or the first that is found; empty if there is none."""
    return os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), "")


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A sandbox of its own needs rights that a container does not give; only our own pages are opened.
        browser = playwright.chromium.launch(executable_path=path_of_chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def workspace(page: Any) -> str:
    """Return the part of the page's address that names account and mode, `/a/0f3a9c2e1b/live`."""
    found = IN_A_WORKSPACE.search(page.url)
    assert found, page.url
    return found[0].rstrip("/")


def settle(page: Any) -> None:
    """Wait until everything is loaded and every plot is drawn."""
    page.wait_for_load_state("networkidle")
    page.wait_for_function("[...document.querySelectorAll('canvas[data-chart]')].every((one) => Chart.getChart(one))")
    page.evaluate("document.fonts.ready.then(() => true)")


def sign_in(page: Any, url: str, username: str, password: str) -> None:
    page.goto(f"{url}/accounts/sign-in/")
    page.fill("[name=username]", username)
    page.fill("[name=password]", password)
    page.click("button:has-text('Sign in')")
    page.wait_for_url(IN_A_WORKSPACE)
