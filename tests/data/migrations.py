"""The migrations that have landed, by the digest of what they do, and where the last release stood.

`python -m tests.data.migrations` adds new ones. It changes none that is there: whoever has applied a migration would
never get what was put into it later. What it should have done is the next migration's work.
"""

import hashlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FROZEN = Path(__file__).with_name("migrations.json")
#: Modules that migrations name, and what they were called when those landed. That changes nothing of what they do.
MOVED = {b"smsapp.core.clock": b"smsapp.clock"}
APPS = ("accounts", "uploads", "campaigns", "messaging", "reports")

#: The migrations of the last release: what a filled database is upgraded from.
RELEASED = {
    "accounts": "0004_columns_start_on_the_clock_of_the_database",
    "uploads": "0001_initial",
    "campaigns": "0005_messages_refused",
    "messaging": "0011_refusals_in_a_row",
    "reports": "0002_breakdown",
}


def present() -> dict[str, str]:
    """Digest by name, of every migration in the tree."""
    files = sorted(path for app in APPS for path in (ROOT / app / "migrations").glob("[0-9]*.py"))
    return {f"{path.parents[1].name}/{path.stem}": hashlib.sha256(_landed(path)).hexdigest() for path in files}


def _landed(path: Path) -> bytes:
    """A migration as it landed."""
    text = path.read_bytes()
    for now, before in MOVED.items():
        text = text.replace(now, before)
    return text


def frozen() -> dict[str, str]:
    stored: dict[str, str] = json.loads(FROZEN.read_text())
    return stored


def main() -> int:
    before, now = frozen() if FROZEN.exists() else {}, present()
    if changed := [name for name, digest in before.items() if now.get(name) != digest]:
        print(f"Changed or gone, though they have landed: {', '.join(changed)}", file=sys.stderr)
        return 1
    FROZEN.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
    print(f"{len(now) - len(before)} migrations added.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
