"""`make deploy-check`: an installation that is set up by docker/production.env.example lacks nothing.

What stands empty there gets a made-up value, and the files of pages are collected into a folder of this run. With NAME=
on the command line that name is left out, to see that it is missed: python -m tests.deploy_check METRICS_TOKEN
"""

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "docker" / "production.env.example"


def environment(folder: Path, without: tuple[str, ...] = ()) -> dict[str, str]:
    lines = (line.strip() for line in EXAMPLE.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    given = {name: value or secrets.token_urlsafe(50) for name, _, value in pairs if name not in without}
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "DATABASE_URL", "REDIS_URL")}
    return given | kept | {"VAR_DIR": str(folder), "STATIC_ROOT": str(folder / "static")}


def check(without: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """What `manage.py check --deploy` says; it ends with 0 only where there is nothing to say."""
    with tempfile.TemporaryDirectory() as name:
        own = environment(Path(name), without)
        collected = environment(Path(name)) | {"DATABASE_URL": f"sqlite:///{name}/none.sqlite3"}
        manage = [sys.executable, "manage.py"]
        subprocess.run([*manage, "collectstatic", "--noinput", "-v", "0"], env=collected, cwd=ROOT, check=True)
        command = [*manage, "check", "--deploy", "--fail-level", "WARNING"]
        return subprocess.run(command, env=own, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


if __name__ == "__main__":
    done = check(tuple(sys.argv[1:]))
    print(done.stdout + done.stderr)
    sys.exit(done.returncode)
