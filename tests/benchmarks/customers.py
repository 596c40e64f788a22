"""Files of customers, of any length, for a provider that is the simulator."""

import csv
import re
import subprocess
import sys
from pathlib import Path

from messaging.simulator.outcomes import SUFFIX_LENGTH, SUFFIXES
from smsapp.stack import ROOT

PHONE = 1  # its column
_not_digits = re.compile(r"\D+")


def write_customers(path: Path, rows: int) -> None:
    """Rows of `tests/data/make_customers.py`, without the numbers whose outcome the simulator forces by their last
    digits: among a million there is one that refuses the account and pauses the campaign, and one never reported."""
    raw = path.with_suffix(".raw")
    maker = ROOT / "tests" / "data" / "make_customers.py"
    subprocess.run([sys.executable, str(maker), "--rows", str(rows), "--out", str(raw)], check=True)
    with (
        raw.open(encoding="utf-8-sig", newline="") as source,
        path.open("w", encoding="utf-8-sig", newline="") as target,
    ):
        table = csv.writer(target, delimiter=";", lineterminator="\n")
        for row in csv.reader(source, delimiter=";"):
            if row and _not_digits.sub("", row[PHONE])[-SUFFIX_LENGTH:] in SUFFIXES:
                row[PHONE] = ""
            table.writerow(row)
    raw.unlink()
