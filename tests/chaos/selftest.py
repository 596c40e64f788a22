"""`make chaos-selftest`: take out one guard after the other, and see that each time the tests notice.

Every defect is made in a copy of the source, never in the source itself. First the detectors run on an unbroken
copy: those that fail there would prove nothing. Last line of stdout, JSON: {"defects", "caught", "missed": [names]}.
CHAOS_EXAMPLES sets how many runs the state machine makes for each defect; ONLY= part of a name runs those alone.
PostgreSQL and Redis as for `make test`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.defects import DEFECTS, Defect
from tests.support.servers.services import postgresql, redis_server, run_name

ROOT = Path(__file__).resolve().parent.parent.parent
LEFT_OUT = (".git", ".venv", "var", "node_modules", ".mypy_cache", ".ruff_cache", ".hypothesis", "__pycache__")
SECONDS = 300  # for the detectors of one defect
SHOWN = 3  # lines of what a detector said


class Miss(Exception):
    """A defect that nothing noticed, or that could not be made; the text says which and why."""


def main() -> int:
    only = os.environ.get("ONLY", "")
    chosen = [defect for defect in DEFECTS if only in defect.name]
    detectors = sorted({detector for defect in chosen for detector in defect.detectors})
    name = run_name()
    with (
        tempfile.TemporaryDirectory(prefix="smsapp-selftest-") as folder,
        redis_server(name) as redis,
        postgresql(name) as database,
    ):
        os.environ |= {"DATABASE_URL": database.url, "REDIS_URL": redis.url, "REDIS_KEY_PREFIX": name}
        sound = copy_of_source(Path(folder) / "sound")
        code, output = run(sound, detectors, Path(folder))
        if code != 0:
            print(f"The detectors fail on the unbroken source:\n{output}", file=sys.stderr)
            return 1
        print(f"unbroken: {', '.join(detectors)} pass", flush=True)
        missed = [defect.name for number, defect in enumerate(chosen) if not is_caught(defect, Path(folder), number)]
    print(json.dumps({"defects": len(chosen), "caught": len(chosen) - len(missed), "missed": missed}), flush=True)
    return 1 if missed else 0


def is_caught(defect: Defect, folder: Path, number: int) -> bool:
    started = time.monotonic()
    broken = copy_of_source(folder / f"defect-{number}")
    try:
        sign = catch(defect, broken, folder)
    except Miss as miss:
        print(f"MISSED  {defect.name}: {miss}", flush=True)
        return False
    finally:
        shutil.rmtree(broken)
    print(f"caught  {defect.name} ({time.monotonic() - started:.0f} s): {sign}", flush=True)
    return True


def catch(defect: Defect, source: Path, folder: Path) -> str:
    """The line by which a detector noticed; raises Miss."""
    apply(defect, source)
    code, output = run(source, list(defect.detectors), folder)
    if code == 0:
        raise Miss("every detector passed")
    lines = [line.strip() for line in output.splitlines() if line.startswith("E  ")]
    signs = [line for line in lines if any(sign in line for sign in defect.signs)]
    if code != 1 or not signs:
        raise Miss(f"the detectors ended with {code} and no sign of it:\n{output[-2000:]}")
    return signs[0].removeprefix("E").strip()[:150]


def apply(defect: Defect, source: Path) -> None:
    """Make the defect; raises Miss if the text of a guard does not stand there exactly once."""
    for name, guard, without in defect.changes:
        path = source / name
        text = path.read_text()
        if text.count(guard) != 1:
            raise Miss(f"{name} has {text.count(guard)} times: {guard!r}")
        path.write_text(text.replace(guard, without))


def copy_of_source(to: Path) -> Path:
    shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return to


def run(source: Path, tests: list[str], folder: Path) -> tuple[int, str]:
    """Exit code and output of the tests on that source, up to the first failure."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--create-db", "--show-capture=no"]
    own = {"VAR_DIR": str(folder / "var"), "CHAOS_EXAMPLES": os.environ.get("CHAOS_EXAMPLES", "40")}
    environment = os.environ | own | {"DJANGO_SETTINGS_MODULE": "smsapp.settings.test"}
    try:
        done = subprocess.run(
            [*command, *tests],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, f"not ready within {SECONDS} s"
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
