"""Generators of clients take the API's document as it is, what they make is used against the real server, and linters
find nothing in it.

The programs come with `make install-dev`: those of npm into node_modules, the others into the virtual environment.
"""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from drf_spectacular.generators import SchemaGenerator

from accounts.choices import Mode
from smsapp.management.commands.assets import find_npm
from tests.support.factories import make_api_key, phones
from tests.support.servers.web import running_server

pytestmark = pytest.mark.platform

PARTS = Path(settings.BASE_DIR, "tests", "data", "clients")
PACKAGES = Path(settings.BASE_DIR, "node_modules")
MOST_MODELS = 300
OPERATIONS = 94  # of the document, at least


class Done(NamedTuple):
    code: int
    said: str


def run(*command: str | Path, folder: Path, **environment: str) -> Done:
    own = find_npm()[1] | {"NO_PROXY": "127.0.0.1"} | environment
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=own, capture_output=True, text=True, check=False
    )
    return Done(done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr)


def tool(name: str) -> Path:
    """A program of npm; without it the test fails and says how to get it."""
    path = PACKAGES / ".bin" / name
    assert path.exists(), f"{path} is missing: run `make install-dev`."
    return path


def own(name: str) -> Path:
    return Path(sys.executable).with_name(name)


class Workshop:
    """A folder in which both clients are made of the document, at the same time, and checked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.document = folder, folder / "openapi.json"
        self.content: Any = SchemaGenerator().get_schema(public=True)
        self.document.write_text(json.dumps(self.content))
        (folder / "package.json").write_text('{"type": "module"}')
        (folder / "node_modules").symlink_to(PACKAGES)
        for name in ("use_client.py", "use_client.ts", "tsconfig.json"):
            shutil.copy(PARTS / name, folder)
        with ThreadPoolExecutor(2) as pool:
            made = pool.submit(self._make_python), pool.submit(self._make_typescript)
        self.python, self.typescript = (one.result() for one in made)

    def _make_python(self) -> list[Done]:
        maker, mypy = own("openapi-python-client"), own("mypy")
        options = ("--config", PARTS / "python.yaml", "--meta", "none", "--fail-on-warning")
        files = ("--path", self.document, "--output-path", "smsapp_client")
        made = run(maker, "generate", *files, *options, folder=self.folder)
        sources = ("use_client.py", "smsapp_client")
        checked = run(mypy, "--config-file=", "--strict", "--cache-dir", "mypy", *sources, folder=self.folder)
        return [made, checked]

    def _make_typescript(self) -> list[Done]:
        made = run(tool("openapi-typescript"), self.document, "--output", "schema.ts", folder=self.folder)
        return [made, run(tool("tsc"), "--project", self.folder, folder=self.folder)]

    def use(self, *command: str | Path, **environment: str) -> Any:
        done = run(*command, folder=self.folder, **environment)
        assert done.code == 0, done.said
        return json.loads(done.said)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("clients"))


def test_both_clients_are_made_and_well_typed(workshop: Workshop) -> None:
    for done in (*workshop.python, *workshop.typescript):
        assert done.code == 0, done.said


def test_the_python_client_has_every_operation_and_not_too_many_models(workshop: Workshop) -> None:
    models = (workshop.folder / "smsapp_client" / "models" / "__init__.py").read_text()
    assert 100 < len(re.findall(r"^from \.", models, re.MULTILINE)) <= MOST_MODELS
    calls = [path for path in workshop.folder.glob("smsapp_client/api/*/*.py") if path.name != "__init__.py"]
    assert len(calls) == sum(len(item) for item in workshop.content["paths"].values()) >= OPERATIONS


@pytest.mark.django_db(transaction=True)
@pytest.mark.once
def test_both_clients_send_list_and_read_an_error(workshop: Workshop, tmp_path: Path) -> None:
    _, key = make_api_key(mode=Mode.TEST)
    event = workshop.content["webhooks"]["message.status"]["post"]["requestBody"]["content"]["application/json"]
    with running_server(tmp_path) as server:
        given = {
            "API": f"http://{server.host}:{server.port}",
            "KEY": key,
            "PHONE": phones(1)[0],
            "EVENT": json.dumps(event["example"]),
            "PYTHONPATH": str(workshop.folder),
        }
        node = shutil.which("node", path=find_npm()[1]["PATH"]) or "node"
        for said in (
            workshop.use(sys.executable, "use_client.py", **given),
            workshop.use(node, "use_client.js", **given),
        ):
            assert said["sent"] == said["listed"] != []
            assert (said["status"], said["next"]) == ("PENDING", None)
            assert (said["code"], said["problems"]) == ("VALIDATION_ERROR", [["phone_numbers[0]", "NOT_A_NUMBER"]])
            assert said["told"] == ["k3x9a0000000g4015: DELIVERED"]


def test_redocly_finds_nothing(workshop: Workshop) -> None:
    settings_of = ("--config", PARTS / "redocly.yaml", "--format", "json")
    done = run(tool("redocly"), "lint", workshop.document, *settings_of, folder=workshop.folder, CI="true")
    found = json.loads(done.said[done.said.index("{") :])
    assert [(one["ruleId"], one["message"]) for one in found["problems"]] == []


def test_spectral_finds_nothing(workshop: Workshop) -> None:
    rules = ("--ruleset", PARTS / "spectral.yaml", "--fail-severity", "hint")
    done = run(tool("spectral"), "lint", workshop.document, *rules, folder=workshop.folder)
    assert done.code == 0, done.said
