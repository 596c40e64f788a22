"""Writing a text in a real browser: what it costs is named, and what is pressed happens."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.chromium import sign_in
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
    page.click("button:has-text('Replace all')")
    assert page.input_value("[name=message]") == '"Naive" {name}'
    page.wait_for_selector(".costly li:has-text('“')", state="detached")
    page.click("#go-on")
    page.click("#go-on")
    page.wait_for_selector("#confirm")
    assert page.locator(".costly li").count() == 1
    assert page.locator("[data-replace], [data-replace-all]").count() == 0
    page.click("button[aria-label='Next recipient']")
    page.wait_for_selector(".message-text:has-text('Ann')")


def test_what_the_balance_does_not_cover_cannot_be_pressed(platform: Platform, open_page: Callable[..., Any]) -> None:
    platform.run(PREPAID)
    page = open_page(storage_state=None)
    sign_in(page, platform.url, "prepaid", "correct-horse-battery")
    page.goto(f"{platform.url}/send/")
    page.fill("[name=phone_numbers]", "+4915112345678")
    page.fill("[name=message]", "x" * 161)
    page.wait_for_selector("#send-now[disabled]")
    assert "this costs 0.20 EUR, the balance is 0.10 EUR" in page.inner_text("#shortfall")
    page.fill("[name=message]", "x" * 160)
    page.wait_for_selector("#send-now:not([disabled])")
    assert page.locator("#shortfall").count() == 0
    page.click("#send-now")
    page.wait_for_selector("text=1 message is on its way")
    page.goto(f"{platform.url}/send/")
    assert page.locator("#send-now").is_disabled()
    page.click(".mode-switch a:has-text('Test')")
    page.wait_for_selector("#send-now:not([disabled])")


PREPAID = """
from accounts.models import Account, Membership, User
from accounts.billing.prices import import_prices
user = User.objects.create_user("prepaid", "prepaid@example.com", "correct-horse-battery")
account = Account.objects.create(name="Prepaid", is_metered=True, currency="EUR", balance_micro=100_000)
import_prices(["49,0.10"], account, "EUR", None)
Membership.objects.create(account=account, user=user, role="owner")
"""
