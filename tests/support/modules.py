"""Programs of the tests' own, run as somebody at a shell would."""

import signal
import subprocess
import sys
from collections.abc import Mapping

from django.conf import settings


def output_of(module: str, environment: Mapping[str, str], seconds: float = 240) -> list[str]:
    """The lines that `python -m module` prints. It must end well, and in this time."""
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        env=dict(environment),
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)  # so that it takes its own processes along
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, output + errors
    return output.splitlines()
