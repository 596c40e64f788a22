"""Every page: for a phone, for a screen reader, in the dark, and with whatever a customer has typed in."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.chromium import workspace
from tests.browser.platform import Platform

pytestmark = pytest.mark.once
SERIOUS = ("serious", "critical")
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
PAYLOAD = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>"


def findings(page: Any, rules: Sequence[str] = ()) -> list[str]:
    """What is wrong by these rules of axe; without, by all of them."""
    only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else None
    found = Axe().run(page, options=only).response["violations"]
    return [
        f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:160]})" for one in found if one["impact"] in SERIOUS
    ]


#: What a page shows, and the file of static/ without which it would not look or work as it should.
NEEDS = {
    "table[data-sortable]": "sort-tables.js",
    "[data-country], select[data-countries]": "country-names.js",
    "[data-only-when]": "conditional-fields.js",
    "select[name=zone]": "own-zone.js",
    "[data-copy]": "copy.js",
    "form[data-upload]": "upload.js",
    "[data-compose], [data-index]": "compose.js",
    "canvas[data-chart]": "charts.js",
    ".chart, .start-card": "reports.css",
    ".phone, .preview": "compose.css",
    ".steps, .drop-zone": "wizard.css",
    ".sample-table": "upload.css",
    ".timeline": "message.css",
    ".outcome-bar, .share-bar, .campaign-table, .message-table": "campaign.css",
}
LOADED = """
() => [...document.querySelectorAll("script[src], link[rel=stylesheet]")]
  .map((one) => new URL(one.src || one.href).pathname.split("/").pop())
"""


def test_pages_load_the_files_of_what_they_show_and_no_others(
    platform: Platform, pages: dict[str, str], open_page: Callable[..., Any]
) -> None:
    page, missing, used = open_page(), set(), set()
    for name, address in pages.items():
        page.goto(platform.url + address)
        loaded = set(page.evaluate(LOADED))
        shown = {file for selector, file in NEEDS.items() if page.locator(selector).count()}
        missing |= {(name, file) for file in shown - loaded}
        used |= shown
        assert len(loaded) <= 20, name
    assert missing == set()
    assert used == set(NEEDS.values()) - {"copy.js"}  # a secret that is shown once has no address


@pytest.mark.parametrize(
    "look", [{"color_scheme": "light"}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"]
)
def test_axe_finds_nothing_serious(
    platform: Platform, pages: dict[str, str], open_page: Callable[..., Any], look: dict[str, Any]
) -> None:
    """In the dark only colours differ; on a phone what is left out of the frame still has its name."""
    page, wrong = open_page(reduced_motion="reduce", **look), {}
    rules = ["color-contrast", "link-in-text-block"] if look.get("color_scheme") == "dark" else []
    for name, address in pages.items():
        page.goto(platform.url + address)
        if found := findings(page, rules):
            wrong[name] = found
    assert wrong == {}


def test_figures_and_moments_are_as_the_reader_writes_them(
    platform: Platform, pages: dict[str, str], open_page: Callable[..., Any]
) -> None:
    page = open_page(locale="de-DE", timezone_id="Asia/Tokyo")
    page.goto(platform.url + pages["reports"])
    rate = page.locator("td.number[data-label='Zustellrate']").first.text_content()
    assert "," in rate
    assert "." not in rate
    page.goto(platform.url + pages["campaign"])
    moment = page.locator("time").first
    assert "UTC" in moment.get_attribute("title")
    assert "vor" in moment.text_content()


def test_tables_are_ordered_by_the_column_that_is_pressed(
    platform: Platform, pages: dict[str, str], open_page: Callable[..., Any]
) -> None:
    page = open_page()
    figures = page.locator("section:has(#shares-1) td[data-label='Sent']")
    page.goto(platform.url + pages["reports"])
    for _second in range(30):  # until the newest messages are in the statistics
        if figures.count() > 1:
            break
        page.wait_for_timeout(1000)
        page.reload()
    head = page.locator("table[data-sortable] th[scope=col]", has_text="Sent").first
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    up = [int(text.replace(",", "")) for text in figures.all_text_contents()]
    head.get_by_role("button").click()
    down = [int(text.replace(",", "")) for text in figures.all_text_contents()]
    assert (up, down) == (sorted(up), sorted(up, reverse=True))
    assert len(set(up)) > 1


def test_nothing_scrolls_sideways_on_a_phone(
    platform: Platform, pages: dict[str, str], open_page: Callable[..., Any]
) -> None:
    page, wide = open_page(**PHONE), {}
    for name, address in pages.items():
        page.goto(platform.url + address)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 360:
            wide[name] = width
    assert wide == {}
    page.click("button[aria-label=Menu]")
    page.click("#sidebar a:has-text('Campaigns')")
    assert page.url == f"{platform.url}{workspace(page)}/campaigns/"


def test_what_a_customer_types_is_text_everywhere(
    platform: Platform, pages: dict[str, str], open_page: Callable[..., Any]
) -> None:
    numbers = ["+4915112345670"]
    platform.call("POST", "templates", {"name": PAYLOAD, "message": PAYLOAD})
    contacts = platform.call("POST", "contact-lists", {"name": PAYLOAD})
    contact = {"phone_number": numbers[0], "values": {"name": PAYLOAD}}
    platform.call("POST", f"contact-lists/{contacts['list_id']}/contacts", contact)
    draft = platform.call("POST", "campaigns", {"name": PAYLOAD, "message": PAYLOAD, "phone_numbers": numbers})
    bulk = platform.call("POST", "sms/bulk", {"name": PAYLOAD, "message": PAYLOAD, "phone_numbers": numbers})
    platform.call("POST", "suppressions", {"phone_number": "+4915112345671", "note": PAYLOAD})
    platform.call("POST", "api-keys", {"name": PAYLOAD[:80], "mode": "test"})
    platform.run(HOSTILE % PAYLOAD)
    page = open_page()
    addresses = [
        *pages.values(),
        f"/contacts/{contacts['list_id']}/",
        f"/campaigns/draft/{draft['bulk_id']}/review/",
        f"/campaigns/{bulk['bulk_id']}/",
    ]
    for address in addresses:
        page.goto(platform.url + address)
        page.wait_for_load_state("load")
        assert page.locator("img[src=x]").count() == 0, address
    page.goto(f"{platform.url}/templates/")
    assert PAYLOAD in page.inner_text("table")  # shown as it was typed


HOSTILE = """
from accounts.models import Account, SenderId, User, WebhookEndpoint
from messaging.models import InboundMessage
from django.utils import timezone
payload = %r
account = Account.objects.get(name="Demo")
User.objects.filter(username="demo").update(first_name=payload[:150], last_name=payload[:150])
WebhookEndpoint.objects.update(description=payload[:120])
SenderId.objects.filter(value="SpringShop").update(status="rejected", note=payload)
InboundMessage.objects.create(
    account=account, inbound_id="in-hostile", gateway="simulator", provider_reference="1", text=payload,
    phone_number="+4915112345672", recipient="+4915199999999", keyword=payload[:40], received_at=timezone.now(),
)
"""
