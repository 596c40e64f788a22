"""`make screenshots`: every page in the light, in the dark and on a phone, written to var/screenshots; with README=1
README's pictures, too.

Starts an installation of its own and fills it; nothing outside is touched.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.browser.chromium import chromium, path_of_chromium, settle, sign_in
from tests.browser.pages import furnished
from tests.browser.platform import ROOT, Platform, running

FOLDER = ROOT / "var" / "screenshots"
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {**DESKTOP, "color_scheme": "light"},
    "dark": {**DESKTOP, "color_scheme": "dark"},
    "phone": {**PHONE, "color_scheme": "light", "device_scale_factor": 2},
}
#: README's, by their names in static/img: of which page, how it is looked at, and whether all of it is shown.
PICTURES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "review": ("wizard-review", DESKTOP, True),
    "overview": ("overview", DESKTOP, True),
    "campaign-phone": ("campaign", PHONE, False),
}


def main() -> int:
    if not path_of_chromium():
        print("There is no Chromium: install Debian's `chromium`, or set CHROMIUM.", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory(prefix="smsapp-screenshots-") as folder,
        running(Path(folder), UNDO_SECONDS="30") as platform,
    ):
        pages = furnished(platform)
        with chromium() as browser:
            for look, options in LOOKS.items():
                wanted = {FOLDER / look / f"{name}.png": address for name, address in pages.items()}
                _take(browser, platform, wanted, options)
            for name, (page, options, whole) in PICTURES.items() if os.environ.get("README") else ():
                _take(browser, platform, {ROOT / "static" / "img" / f"{name}.png": pages[page]}, options, whole=whole)
    print(f"{len(pages) * len(LOOKS)} screenshots in {FOLDER}")
    return 0


def _take(
    browser: Any, platform: Platform, wanted: dict[Path, str], options: dict[str, Any], *, whole: bool = True
) -> None:
    page = browser.new_context(reduced_motion="reduce", **options).new_page()
    sign_in(page, platform.url, platform.username, platform.password)
    for path, address in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        page.goto(platform.url + address)
        settle(page)
        page.screenshot(path=path, full_page=whole)
    page.context.close()


if __name__ == "__main__":
    sys.exit(main())
