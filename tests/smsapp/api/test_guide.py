"""The guide at the head of the API's document is true: its commands and its program do what they say."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from django.conf import settings

from smsapp.runtime.supervisor import free_port
from tests.support.servers.installation import running, wait_until

GUIDE = Path(settings.BASE_DIR, "smsapp", "api", "guide.md").read_text()
pytestmark = [
    pytest.mark.platform,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of somebody who follows the guide, beside a whole installation that runs."""
    folder = tmp_path_factory.mktemp("guide")
    with running(folder, free_port()):
        demo = json.loads((folder / "demo.json").read_text())
        yield os.environ | {"API": f"{demo['url']}/api/v1", "KEY": demo["api_key"], "NO_PROXY": "127.0.0.1"}


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return str(found)


def test_five_commands_lead_to_a_delivered_message(reader: dict[str, str], tmp_path: Path) -> None:
    commands = ["bash", "-euo", "pipefail", "-c", block("sh")]
    done = subprocess.run(commands, env=reader, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    health, lookup, message = (
        json.JSONDecoder().raw_decode(text)[0]["data"] for text in re.split(r"(?=\{\"success\")", done.stdout)[1:]
    )
    assert health["status"] == "OK"
    assert (lookup["numbers"][0]["valid"], lookup["text"]["segments"]) == (True, 1)
    assert message["message"] == "Your parcel is here."
    wait_until(lambda: _status(reader, message["message_id"]) == "DELIVERED")  # busy machines need more than 3 seconds


def _status(reader: dict[str, str], message_id: str) -> str:
    address, headers = f"{reader['API']}/messages/{message_id}", {"X-API-Key": reader["KEY"]}
    return str(httpx2.get(address, headers=headers, trust_env=False).json()["data"]["status"])


def test_the_program_sees_its_message_delivered(reader: dict[str, str], tmp_path: Path) -> None:
    program = [sys.executable, "-c", block("python")]
    done = subprocess.run(program, env=reader, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
    assert (done.stdout, done.returncode) == ("DELIVERED\n", 0), done.stderr
