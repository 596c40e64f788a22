"""What a page says while htmx refreshes it: one truth, in the reader's language and on the reader's clock."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.browser.platform import Platform

pytestmark = pytest.mark.once
BERLIN = {"locale": "en-GB", "timezone_id": "Europe/Berlin"}
#: The page at one moment, read in one go.
SEEN = """
() => {
  const text = (selector) => document.querySelector(selector)?.innerText ?? "";
  const facts = Object.fromEntries([...document.querySelectorAll("#facts dt")].map((dt) => [dt.innerText, dt.nextElementSibling.innerText]));
  return {
    state: text("#live .state"), figures: text("#live .figures"), facts, page: text("#message-page"), times: document.body.innerText.match(/\\bUTC\\b/g),
  };
}
"""  # noqa: E501


def numbers(first: int, count: int) -> list[str]:
    return [f"+49151{first + n:08d}" for n in range(count)]


def upload(page: Any, platform: Platform, rows: str) -> None:
    page.goto(f"{platform.url}/campaigns/new/")
    page.fill("[name=paste-rows]", rows)
    page.click("button:has-text('Use these')")
    page.wait_for_selector("#go-on", timeout=60_000)


def test_a_campaign_is_the_same_in_all_parts_of_its_page(platform: Platform, open_page: Callable[..., Any]) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=8)).isoformat()
    sale = {"phone_numbers": numbers(20_000_000, 60), "message": "It begins.", "name": "Watched", "schedule_time": soon}
    made = platform.call("POST", "sms/bulk", sale)
    page = open_page(**BERLIN)
    page.goto(f"{platform.url}/campaigns/{made['bulk_id']}/")
    assert re.search(
        r"Starts in \d+ seconds\. Nothing has been sent\. You can undo it until then", page.inner_text("#live")
    )
    seen = []
    for _tick in range(200):
        seen.append(page.evaluate(SEEN))
        if seen[-1]["state"] == "Completed" and "No messages yet" not in seen[-1]["page"]:
            break
        page.wait_for_timeout(250)
    assert {one["state"] for one in seen} >= {"Scheduled", "Completed"}
    for one in seen:
        has_begun = one["state"] not in ("Scheduled",)
        assert (one["facts"]["Started"] != "–") == has_begun, one
        assert ("Completed" in one["facts"]) == (one["state"] == "Completed"), one
        assert one["times"] is None, one  # never as the server writes them, not for a moment
        if one["state"] == "Completed":
            assert "No messages yet" not in one["page"], one
    assert seen[0]["figures"].startswith("Delivered\n–")


def test_countries_and_tables_stay_the_readers_after_a_refresh(
    platform: Platform, open_page: Callable[..., Any]
) -> None:
    page = open_page(**BERLIN)
    upload(page, platform, "phone,name\n0151 12345678,Ann\n+43 664 1234567,Bea\n")
    assert page.locator("#reading").count() == 0
    page.click("summary")
    assert "Austria (+43)" in page.locator("select[name=country]").inner_text()
    page.click("#go-on")
    page.fill("[name=message]", "Hello {name}")
    page.click("#go-on")
    page.click("#go-on")
    page.wait_for_selector("#confirm")
    assert set(page.locator("[data-country]").all_inner_texts()) == {"Germany", "Austria"}
    # what is put into a page by htmx is prepared as what was there from the start
    page.evaluate("htmx.ajax('GET', location.pathname, { target: '#main', select: '#main', swap: 'outerHTML' })")
    page.wait_for_function("document.querySelectorAll('[data-country][data-named]').length === 2")
    assert set(page.locator("[data-country]").all_inner_texts()) == {"Germany", "Austria"}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a_time_is_shown_on_the_readers_clock_and_stays_the_same_moment(
    platform: Platform, open_page: Callable[..., Any], zone: str
) -> None:
    """However often somebody goes back to where it was chosen."""
    page = open_page(locale="en-GB", timezone_id=zone)
    year = datetime.now(UTC).year + 1
    upload(page, platform, "0151 12345678\n")
    page.click("#go-on")
    page.fill("[name=name]", "At half past nine")
    page.fill("[name=message]", "Hello")
    page.click("#go-on")
    page.check("[name=when][value=later]")
    page.fill("[name=at]", f"{year}-03-19T09:30")
    assert page.input_value("[name=zone]") == zone
    for _round in range(2):
        page.click("#go-on")
        page.wait_for_selector("#confirm")
        shown = page.locator("section[aria-labelledby=when-heading] time").inner_text()
        assert re.fullmatch(rf"19 Mar {year}, 09:30 (CET|GMT[+−-]\d+|EDT)", shown), shown
        page.click("section[aria-labelledby=when-heading] a")
        assert page.input_value("[name=at]") == f"{year}-03-19T09:30"
        assert page.input_value("[name=zone]") == zone
