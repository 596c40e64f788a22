"""What every page looks like: its theme, where the keyboard is, its plots."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.platform import Platform

pytestmark = pytest.mark.once
THEME = "document.documentElement.dataset.bsTheme"
#: What can have the focus and shows no sign of it.
UNSEEN = """
() => [...document.querySelectorAll(":is(a[href], button, input, select, textarea, summary, [tabindex='0'])")]
  .filter((one) => one.checkVisibility() && !one.disabled)
  .filter((one) => {
    const sign = (style) => style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2
      ? style.boxShadow : "outline";
    one.blur();
    const before = getComputedStyle(one).boxShadow;
    one.focus();
    const with_focus = sign(getComputedStyle(one));
    return with_focus !== "outline" && (with_focus === "none" || with_focus === before);
  })
  .map((one) => one.outerHTML.slice(0, 120))
"""
PLOTS = """
() => Object.values(Chart.instances).map((one) => [one.id, one.config.type, one.options.animation])
"""


def test_the_theme_is_our_own_and_djangos_is_its_own(platform: Platform, open_page: Callable[..., Any]) -> None:
    page = open_page(color_scheme="light")
    page.goto(f"{platform.url}/")
    page.click("button[aria-label=Theme]")
    page.click("[data-theme-choice=dark]")
    assert page.evaluate("localStorage.theme") is None
    platform.run("from accounts.models import User; User.objects.filter(username='demo').update(is_staff=True)")
    page.goto(f"{platform.url}/admin/")
    page.wait_for_function("localStorage.theme === 'auto'")  # written by Django's own script
    page.goto(f"{platform.url}/send/")
    assert page.evaluate(THEME) == "dark"
    page.evaluate("localStorage.setItem('theme', 'light')")
    page.reload()
    assert page.evaluate(THEME) == "dark"
    page.click("button[aria-label=Theme]")
    page.click("[data-theme-choice=system]")
    assert page.evaluate(THEME) == "light"
    assert page.evaluate("localStorage.theme") == "light"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_keyboard_is_seen_wherever_it_is(
    platform: Platform, pages: dict[str, str], open_page: Callable[..., Any], scheme: str
) -> None:
    page, unseen = open_page(color_scheme=scheme, reduced_motion="reduce"), {}
    for name, address in pages.items():
        page.goto(platform.url + address)
        page.keyboard.press("Tab")
        if found := page.evaluate(UNSEEN):
            unseen[name] = found
    assert unseen == {}


@pytest.mark.parametrize("name", ["overview", "reports"])
def test_plots_are_drawn_once_in_bars_and_stand_still(
    platform: Platform, pages: dict[str, str], open_page: Callable[..., Any], name: str
) -> None:
    page = open_page()
    page.goto(platform.url + pages[name])
    page.wait_for_load_state("networkidle")
    plots = page.evaluate(PLOTS)
    assert len(plots) == page.locator("canvas[data-chart]").count() == 3
    assert [number for number, _type, _animation in plots] == [0, 1, 2]  # none was drawn before, and thrown away
    assert {(kind, animation) for _number, kind, animation in plots} == {("bar", False)}
    page.click("button[aria-label=Theme]")
    page.click("[data-theme-choice=dark]")
    assert [number for number, _type, _animation in page.evaluate(PLOTS)] == [3, 4, 5]
