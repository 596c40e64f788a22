"""Files of customers, of any length, for a provider that is the simulator."""

import subprocess
import sys
from pathlib import Path

from smsapp.runtime.programs import ROOT


def write_customers(path: Path, rows: int) -> None:
    """Rows of `tests/data/make_customers.py`."""
    maker = ROOT / "tests" / "data" / "make_customers.py"
    subprocess.run([sys.executable, str(maker), "--rows", str(rows), "--out", str(path)], check=True)
