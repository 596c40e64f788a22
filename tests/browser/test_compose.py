"""Writing a text in a real browser: what it costs is named, and what is pressed happens."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.platform import Platform

pytestmark = pytest.mark.once
ROWS = "phone,name\n0151 12345678,Zoë\n0151 12345679,Ann\n"


def test_what_makes_a_text_dearer_is_replaced_where_the_writer_can(
    platform: Platform, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    page.goto(f"{platform.url}/campaigns/new/")
    page.fill("[name=paste-rows]", ROWS)
    page.click("button:has-text('Use these')")
    page.click("#go-on", timeout=60_000)
    page.fill("[name=name]", "Dear characters")
    page.fill("[name=message]", "“Nai\u0308ve” {name}")  # the i and its dots are two characters, as some keyboards do
    page.wait_for_selector(".costly li:has-text('ï')")
    data = page.locator(".costly li:has-text('ë')")
    assert "from the recipient’s data" in data.inner_text()
    assert data.locator("button").count() == 0
    page.click("button:has-text('Use i instead')")
    assert page.input_value("[name=message]") == "“Naive” {name}"
    page.wait_for_selector(".costly li:has-text('ï')", state="detached")
    page.click("button:has-text('Replace all of them')")
    assert page.input_value("[name=message]") == '"Naive" {name}'
    page.wait_for_selector(".costly li:has-text('“')", state="detached")
    page.click("#go-on")
    page.click("#go-on")
    page.wait_for_selector("#confirm")
    assert page.locator(".costly li").count() == 1
    assert page.locator("[data-replace], [data-replace-all]").count() == 0
    page.click("button[aria-label='Next recipient']")
    page.wait_for_selector(".message-text:has-text('Ann')")
