"""What a person does, in a real browser on a whole installation."""

import gzip
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import sign_in, workspace
from tests.browser.platform import DIRTY, Platform

pytestmark = pytest.mark.once
#: An address with the id of one thing in it.
OF_ONE = re.compile(r"/(bulk|upl|lst|tpl|rec|whe)-[A-Za-z0-9]+/|/messages/.")
KEPT = "caches.keys().then((n) => caches.open(n[0])).then((c) => c.keys()).then((k) => k.map((r) => r.url))"
STORED = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
NUMBER = "0151 12345678"
FILE = {"name": "customers.csv", "mimeType": "text/csv", "buffer": DIRTY.encode()}


def test_one_message_is_sent_and_seen_to_arrive(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{platform.url}/")
    page.click("main a:has-text('Send a message')")
    page.fill("[name=phone_numbers]", NUMBER)
    page.fill("[name=message]", "Your parcel is “here”.")
    page.click("[data-replace='“']")
    page.click("[data-replace='”']")
    page.wait_for_selector("text=All characters are in the GSM alphabet")
    assert page.input_value("[name=message]") == 'Your parcel is "here".'
    page.click("#send-now")
    page.wait_for_selector("text=1 message is on its way")
    page.wait_for_selector(
        "#messages .state-delivered, #messages .state-undelivered, #messages .state-rejected", timeout=60_000
    )
    page.click("#messages th a")
    page.wait_for_selector("h2:has-text('Timeline')")
    assert 'Your parcel is "here".' in page.inner_text(".message-text")


def test_a_wrong_number_is_named_and_what_was_written_stays(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{platform.url}/send/")
    page.fill("[name=phone_numbers]", "12345")
    page.fill("[name=message]", "Hello")
    page.click("#send-now")
    page.wait_for_selector(".invalid-feedback")
    assert page.input_value("[name=message]") == "Hello"
    assert page.get_attribute("[name=phone_numbers]", "aria-invalid") == "true"


def test_from_a_dirty_file_to_a_campaign_undone_and_sent(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{platform.url}/campaigns/new/")
    page.set_input_files("[name=file-file]", FILE)
    page.click("form[data-upload] button:has-text('Upload')")
    page.wait_for_selector("#go-on", timeout=60_000)
    assert "61 recipients" in page.inner_text("#go-on")
    refused = page.inner_text("[aria-labelledby=refused-heading]")
    assert "A landline or service number cannot receive an SMS" in refused
    assert "The same number stands in an earlier row" in refused
    with page.expect_download() as download:
        page.click("text=Download invalid rows (CSV)")
    rows = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert [row.split(";")[3] for row in rows] == ["smsapp_row", "62", "64", "65"]
    page.click("#go-on")
    page.fill("[name=name]", "Dirty file")
    page.fill("[name=message]", "")
    page.click("[data-insert='{name}']")
    page.type("[name=message]", ", our sale in {city} begins.")
    page.wait_for_selector(".phone-body:has-text('Anna 0, our sale in Köln begins.')")
    page.click("[data-index='1']")
    page.wait_for_selector(".phone-body:has-text('Anna 1, our sale')")
    page.click("#go-on")
    page.click("#go-on")
    page.wait_for_selector("#confirm:has-text('Send 61 text messages')")
    page.fill("[name=phone_number]", NUMBER)
    page.click("button:has-text('Send test')")
    page.wait_for_selector("text=A test is on its way")
    page.click("#confirm")
    page.click("#withdraw")
    page.wait_for_selector("text=It is a draft again. Nothing was sent.")
    page.click("#confirm")
    page.wait_for_selector("#pause")
    page.click("#pause")
    page.wait_for_selector(".state-paused")
    page.click("#resume")
    page.wait_for_selector(".state-completed", timeout=60_000)
    assert "61" in page.inner_text("#live")


def test_another_column_is_read_as_the_number(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{platform.url}/campaigns/new/")
    page.fill("[name=paste-rows]", f"first,second\n{NUMBER},0151 12345679\n0151 12345680,0151 12345681\n")
    page.click("button:has-text('Use these numbers')")
    page.wait_for_selector("td.is-phone:has-text('+4915112345678')", timeout=60_000)
    page.click("summary")
    page.select_option("[name=phone_column]", label="second")
    page.click("button:has-text('Read file again')")
    page.wait_for_selector("td.is-phone:has-text('+4915112345679')", timeout=60_000)


def test_a_send_with_the_keyboard_alone(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{platform.url}/send/")

    def go_to(selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
                return
        raise AssertionError(f"{selector} is not reached by Tab")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip-link"
    page.keyboard.press("Enter")
    go_to("[name=phone_numbers]")
    page.keyboard.type(NUMBER)
    go_to("[name=message]")
    page.keyboard.type("With the keyboard")
    go_to("#send-now")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=1 message is on its way")


def test_a_send_without_javascript(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{platform.url}/send/")
    page.fill("[name=phone_numbers]", NUMBER)
    page.fill("[name=message]", "Without script")
    page.click("#send-now")
    assert "1 message is on its way" in page.content()


def test_two_tabs_in_two_modes_each_send_as_they_say(platform: Platform, open_page: Callable[..., Any]) -> None:
    first = open_page()
    second = first.context.new_page()
    first.goto(f"{platform.url}/send/")
    first.click(".mode-switch a:has-text('Test')")
    first.wait_for_selector(".mode-banner:has-text('reach nobody')")
    second.goto(f"{platform.url}/send/")
    second.click(".mode-switch a:has-text('Live')")
    second.wait_for_selector("#send-now:text-is('Send')")
    first.fill("[name=phone_numbers]", NUMBER)
    first.fill("[name=message]", "From the tab in test mode")
    assert first.inner_text("#send-now") == "Send test"
    first.click("#send-now")
    first.wait_for_selector("text=1 message is on its way")
    assert "/test/campaigns/" in first.url
    assert first.locator(".state-test").count() == 1


def test_two_tabs_in_two_accounts_each_send_for_their_own(platform: Platform, open_page: Callable[..., Any]) -> None:
    platform.run(PERSON % ("consultant", "Demo", "owner"))
    platform.run(PERSON % ("consultant", "Second company", "owner"))
    first = open_page(storage_state=None)
    sign_in(first, platform.url, "consultant", "correct-horse-battery")
    own = workspace(first)
    second = first.context.new_page()
    second.goto(f"{platform.url}/")
    second.click(".account-button")
    second.click(".dropdown-item:has-text('Second company')")
    second.wait_for_selector(".account-name:has-text('Second company')")
    assert workspace(second) != own
    first.goto(f"{platform.url}{own}/send/")
    second.reload()
    first.fill("[name=phone_numbers]", NUMBER)
    first.fill("[name=message]", "From the tab of the first company")
    first.click("#send-now")
    first.wait_for_selector("text=1 message is on its way")
    assert workspace(first) == own
    second.goto(f"{platform.url}{workspace(second)}/messages/")
    assert "No message" in second.inner_text("main") or second.locator("main td").count() == 0


def test_a_live_draft_never_stands_on_a_page_that_says_test(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{platform.url}/campaigns/new/")
    page.click(".mode-switch a:has-text('Live')")  # wherever the session was last
    page.fill("[name=paste-rows]", NUMBER)
    page.click("button:has-text('Use these numbers')")
    page.wait_for_selector("#go-on", timeout=60_000)
    page.click("#go-on")
    page.fill("[name=name]", "A live draft")
    page.fill("[name=message]", "Hello")
    page.click("#go-on")
    page.click("#go-on")
    page.wait_for_selector("#confirm:has-text('Send 1 text message')")
    live = page.url
    page.click(".mode-switch a:has-text('Test')")
    page.wait_for_selector(".mode-banner")
    page.goto(live.replace("/live/", "/test/"))
    page.wait_for_selector("#confirm:has-text('Send 1 text message')")
    assert page.url == live
    assert page.locator(".mode-banner").count() == 0


def test_what_was_written_survives_until_it_is_sent(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{platform.url}/send/")
    assert not page.is_visible("#send-form-restored")
    page.fill("[name=phone_numbers]", NUMBER)
    page.fill("[name=message]", "Written with care")
    page.wait_for_timeout(600)  # what is typed is kept soon after the last key

    def is_there() -> None:
        page.wait_for_selector("text=Your unsent text was restored.")
        assert page.input_value("[name=message]") == "Written with care"
        assert page.input_value("[name=phone_numbers]") == NUMBER

    page.reload()
    is_there()
    page.click(".sidebar a:has-text('Templates')")
    page.click(".sidebar a:has-text('Send a message')")
    is_there()
    page.click(".mode-switch a:has-text('Test')")
    is_there()
    page.context.clear_cookies(name="sessionid")
    page.click("#send-now")
    page.fill("[name=username]", platform.username)
    page.fill("[name=password]", platform.password)
    page.click("main button[type=submit], main form button")
    is_there()
    assert "/test/send/" in page.url
    page.click("#send-now")
    page.wait_for_selector("text=1 message is on its way")
    page.goto(f"{platform.url}/send/")
    assert page.input_value("[name=message]") == ""
    assert not page.is_visible("#send-form-restored")


def test_back_sends_nothing_a_second_time(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{platform.url}/send/")
    page.fill("[name=phone_numbers]", NUMBER)
    page.fill("[name=message]", "Once and for all")
    page.click("#send-now")
    page.wait_for_selector("text=1 message is on its way")
    sent = page.url
    page.go_back()
    page.fill("[name=phone_numbers]", NUMBER)
    page.fill("[name=message]", "Once and for all")
    page.click("#send-now")
    page.wait_for_selector("text=Nothing was repeated")
    assert page.url == sent


def test_what_is_still_in_progress_is_kept_until_it_is_known(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{platform.url}/send/")
    page.fill("[name=phone_numbers]", NUMBER)
    page.fill("[name=message]", "Sent while the database is busy")
    with closing(sqlite3.connect(platform.folder / "smsapp.sqlite3", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        page.click("#send-now")
        page.wait_for_selector("text=already being processed")
    assert page.input_value("textarea[readonly] >> nth=1") == "Sent while the database is busy"
    page.complaints.clear()  # of the refusal, which was meant
    page.click("#again")
    page.wait_for_selector("text=1 message is on its way")
    page.goto(f"{platform.url}/send/")
    assert page.input_value("[name=message]") == ""


def test_what_met_an_error_is_kept_wherever_its_page_leads(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{platform.url}/send/")
    page.fill("[name=phone_numbers]", NUMBER)
    page.fill("[name=message]", "Met an error")
    page.context.clear_cookies(name="csrftoken")
    page.click("#send-now")
    page.click("a:has-text('Go to campaigns')")
    page.complaints.clear()  # of the error, which was meant
    page.click(".sidebar a:has-text('Send a message')")
    page.wait_for_selector("text=Your unsent text was restored.")
    assert page.input_value("[name=message]") == "Met an error"


def test_what_was_sent_without_a_network_is_kept(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{platform.url}/send/")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    page.fill("[name=phone_numbers]", NUMBER)
    page.fill("[name=message]", "Written on a train")
    page.context.set_offline(True)
    page.click("#send-now")
    page.wait_for_url("chrome-error://**")
    page.goto(f"{platform.url}/send/")
    assert "You are offline" in page.inner_text("main")
    page.context.set_offline(False)
    page.click("text=Try again")
    page.click(".sidebar a:has-text('Send a message')")
    page.wait_for_selector("text=Your unsent text was restored.")
    assert page.input_value("[name=message]") == "Written on a train"
    page.complaints.clear()  # of the network, which was meant


def test_a_viewer_sees_and_changes_nothing(
    platform: Platform, open_page: Callable[..., Any], pages: dict[str, str]
) -> None:
    platform.run(PERSON % ("viewer", "Demo", "viewer"))
    page = open_page(storage_state=None)
    sign_in(page, platform.url, "viewer", "correct-horse-battery")
    assert page.locator(".sidebar a:has-text('Send a message')").count() == 0
    page.goto(platform.url + pages["campaign"])
    assert page.locator("#pause, #resume, #cancel, #clone").count() == 0
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.content())
    assert token
    for address in (pages["send"], pages["campaign"] + "clone/", pages["key-new"]):
        answer = page.request.post(
            platform.url + workspace(page) + address,
            form={"csrfmiddlewaretoken": token[1]},
            headers={"Referer": platform.url},
        )
        assert answer.status == 403, address


def test_two_accounts_never_see_each_other(
    platform: Platform, open_page: Callable[..., Any], pages: dict[str, str]
) -> None:
    platform.run(PERSON % ("stranger", "Other", "owner"))
    page = open_page(storage_state=None)
    sign_in(page, platform.url, "stranger", "correct-horse-battery")
    named = [name for name, address in pages.items() if OF_ONE.search(address)]
    assert len(named) >= 13
    for name in named:
        assert page.request.get(platform.url + pages[name]).status == 404, name
    for name in set(pages) - set(named):
        text = page.request.get(platform.url + pages[name]).text()
        for hidden in ("Spring sale", "Regulars", "customers.csv", "Greeting", "SpringShop", "example.com/hook"):
            assert hidden not in text, (name, hidden)


def test_it_can_be_installed_and_says_so_when_there_is_no_network(
    platform: Platform, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    page.goto(f"{platform.url}/send/")
    manifest = json.loads(page.request.get(platform.url + page.get_attribute("link[rel=manifest]", "href")).text())
    assert {manifest["display"], manifest["start_url"]} == {"standalone", "/"}
    for icon in manifest["icons"]:
        assert page.request.get(platform.url + icon["src"]).headers["content-type"] == "image/png"
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    page.context.set_offline(True)
    page.goto(f"{platform.url}/campaigns/")
    assert "You are offline" in page.inner_text("main")
    kept = page.evaluate(KEPT)
    assert all("/static/" in url or url.endswith("/offline/") for url in kept)
    page.context.set_offline(False)
    page.complaints.clear()  # of the network, which was meant


def test_the_theme_is_chosen_and_kept(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page(color_scheme="light")
    page.goto(f"{platform.url}/")
    assert page.get_attribute("html", "data-bs-theme") == "light"
    page.click("button[aria-label=Theme]")
    page.click("[data-theme-choice=dark]")
    page.goto(f"{platform.url}/send/")
    assert page.get_attribute("html", "data-bs-theme") == "dark"


def test_the_first_load_is_small(platform: Platform, open_page: Callable[..., Any], pages: dict[str, str]) -> None:
    """Compressed, as a production server sends it."""
    page, answers = open_page(), []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(platform.url + pages["overview"])
    page.wait_for_load_state("networkidle")
    sizes = {answer.url: len(gzip.compress(answer.body())) for answer in answers if answer.ok}
    assert any("chart.umd" in url for url in sizes)
    assert sum(sizes.values()) < 250_000, sizes


PERSON = """
from accounts.models import Account, Membership, User
name, account, role = %r, %r, %r
user, _ = User.objects.get_or_create(username=name, defaults={"email": f"{name}@example.com"})
user.set_password("correct-horse-battery")
user.save()
account, _ = Account.objects.get_or_create(name=account)
Membership.objects.get_or_create(account=account, user=user, defaults={"role": role})
"""


def test_what_cannot_be_taken_back_asks_once_more(platform: Platform, open_page: Callable[..., Any]) -> None:
    template = platform.call("POST", "templates", {"name": "Short-lived", "message": "Hello"})
    page = open_page()
    page.goto(f"{platform.url}/templates/{template['template_id']}/")
    delete = page.locator("#main").get_by_role("button", name="Delete template")
    delete.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#confirm-dialog.show")
    assert "Campaigns created from it do not change" in page.locator("#confirm-text").text_content()
    expect(page.locator("[data-confirm-no]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(delete).to_be_focused()
    assert platform.call("GET", f"templates/{template['template_id']}")["name"] == "Short-lived"
    delete.click()
    page.locator("[data-confirm-yes]").click()
    page.wait_for_url(f"{platform.url}{workspace(page)}/templates/")
    assert "Short-lived" not in page.locator("main").text_content()


def test_who_signs_out_leaves_nothing_of_what_was_written(platform: Platform, open_page: Callable[..., Any]) -> None:
    platform.run(PERSON % ("first", "Shared desk", "owner"))
    platform.run(PERSON % ("next", "Shared desk", "owner"))
    page = open_page(storage_state=None)
    sign_in(page, platform.url, "first", "correct-horse-battery")
    page.goto(f"{platform.url}/send/")
    other = page.context.new_page()
    other.goto(f"{platform.url}/send/")
    other.fill("[name=message]", "Secret of the other tab")
    other.wait_for_timeout(600)
    page.fill("[name=message]", "Secret of this tab")
    page.wait_for_timeout(600)
    page.type("[name=message]", ", and its last word")
    page.click(".account-button")
    page.click("button:has-text('Sign out')")
    page.wait_for_selector("[name=username]")
    other.type("[name=message]", ", and more")
    other.wait_for_timeout(600)
    other.close()
    assert "Secret" not in page.evaluate(STORED)
    sign_in(page, platform.url, "next", "correct-horse-battery")
    page.goto(f"{platform.url}/send/")
    assert page.input_value("[name=message]") == ""
    assert "Secret" not in page.evaluate(STORED)
    page.fill("[name=message]", "Secret of a session that ended by itself")
    page.wait_for_timeout(600)
    page.context.clear_cookies(name="sessionid")
    sign_in(page, platform.url, "first", "correct-horse-battery")
    assert "Secret" not in page.evaluate(STORED)


def test_an_answer_goes_to_whom_it_is_for_whatever_was_written_before(
    platform: Platform, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    page.goto(f"{platform.url}/send/")
    page.fill("[name=phone_numbers]", NUMBER)
    page.fill("[name=message]", "To somebody else")
    page.wait_for_timeout(600)
    page.goto(f"{platform.url}/send/?to=%2B4915112345699")
    page.wait_for_load_state("networkidle")
    assert page.input_value("[name=phone_numbers]") == "+4915112345699"
    assert page.input_value("[name=message]") == ""
    page.fill("[name=message]", "An answer")
    page.wait_for_timeout(600)
    page.reload()
    page.wait_for_selector("text=Your unsent text was restored.")
    assert page.input_value("[name=message]") == "An answer"
    page.goto(f"{platform.url}/send/")
    page.wait_for_selector("text=Your unsent text was restored.")
    assert page.input_value("[name=message]") == "To somebody else"
