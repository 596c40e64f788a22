"""`make screenshots`: every page in the light, in the dark and on a phone, written to var/screenshots.

Starts an installation of its own and fills it; nothing outside is touched.
"""

import sys
import tempfile
from pathlib import Path

from tests.browser.chromium import chromium, path_of_chromium, sign_in
from tests.browser.pages import furnished
from tests.browser.platform import ROOT, running

FOLDER = ROOT / "var" / "screenshots"
LOOKS = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light", "is_mobile": True,
              "has_touch": True, "device_scale_factor": 2},
}  # fmt: skip


def main() -> int:
    if not path_of_chromium():
        print("There is no Chromium: install Debian's `chromium`, or set CHROMIUM.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="smsapp-screenshots-") as folder, running(Path(folder)) as platform:
        pages = furnished(platform)
        with chromium() as browser:
            for look, options in LOOKS.items():
                (FOLDER / look).mkdir(parents=True, exist_ok=True)
                page = browser.new_context(**options).new_page()
                sign_in(page, platform.url, platform.username, platform.password)
                for name, address in pages.items():
                    page.goto(platform.url + address)
                    page.wait_for_load_state("load")
                    page.wait_for_timeout(400)  # plots are drawn
                    page.screenshot(path=FOLDER / look / f"{name}.png", full_page=True)
    print(f"{len(pages) * len(LOOKS)} screenshots in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
