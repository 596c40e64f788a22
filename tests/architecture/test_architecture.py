"""The shape of the code, proven on its source: who may import whom, what runs where, what must not be used."""

import ast
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from django.core.management import call_command

from smsapp import queues

ROOT = Path(settings.BASE_DIR)
APPS = ("accounts", "uploads", "campaigns", "messaging", "reports")
LONGEST_TEMPLATE_LINE = 140
SEND_PATH = [path for app in APPS for path in sorted((ROOT / app).rglob("*.py")) if "migrations" not in path.parts]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_keep_to_the_layers() -> None:
    """Which they are, `[tool.importlinter]` in pyproject.toml says."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


FROM_A_TEST_MODULE = re.compile(r"^\s*(?:from|import) tests\b\S*(?:\.| import \(?[\w, ]*\b)test_", re.M)


def test_no_module_imports_from_a_test_module() -> None:
    """What tests share is in tests/support."""
    assert FROM_A_TEST_MODULE.search("    from tests.messaging.test_pipeline import send")
    assert FROM_A_TEST_MODULE.search("from tests.messaging import test_pipeline")
    found = [path for path in (ROOT / "tests").rglob("*.py") if FROM_A_TEST_MODULE.search(path.read_text())]
    assert found == []


def test_no_line_of_a_template_is_too_long_to_read() -> None:
    pages = sorted((ROOT / "templates").rglob("*.html"))
    lines = [(path, n, line) for path in pages for n, line in enumerate(path.read_text().splitlines(), 1)]
    assert len(pages) > 70
    assert [f"{name_of(path)}:{n}" for path, n, line in lines if len(line) > LONGEST_TEMPLATE_LINE] == []


def test_waits_are_columns_and_never_broker_delays() -> None:
    wrong = set()
    for path in SEND_PATH:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg in ("countdown", "eta"):
                wrong.add(f"{name_of(path)}:{node.value.lineno} {node.arg}=")
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "self.retry":
                wrong.add(f"{name_of(path)}:{node.lineno} self.retry")
    assert wrong == set()


#: Files that may ask this machine's clock, and why. All others ask the database's: `smsapp/core/clock.py`.
HOST_CLOCK = {
    "smsapp/core/clock.py": "gives it where there is one machine, or no database",
    "messaging/restore/detection.py": "looks for a jump of that very clock: the machine was rolled back, or slept",
    "smsapp/api/envelope.py": "shown in an answer, which must come while the database is away",
    "smsapp/api/request_log.py": "noted in the log of calls, while the database is away as well",
}
CLOCKS = re.compile(
    r"\b(timezone\.(now|localtime|localdate)\b|datetime\.(now|utcnow|today)\b|date\.today\b|time\.time\b)"
)


def test_the_time_is_that_of_the_database() -> None:
    """The simulator is a provider, and has a clock of its own."""
    found = {
        name_of(path)
        for app in (*APPS, "smsapp")
        for path in sorted((ROOT / app).rglob("*.py"))
        if not {"migrations", "simulator"} & set(path.parts) and CLOCKS.search(path.read_text())
    }
    assert found == set(HOST_CLOCK)


def registered_tasks() -> set[str]:
    current_app.loader.import_default_modules()
    return {name for name in current_app.tasks if name.split(".")[0] in (*APPS, "smsapp")}


def test_every_task_has_a_queue_and_every_route_a_task() -> None:
    assert registered_tasks() == set(queues.TASK_QUEUES)


def test_every_beat_entry_wakes_a_task_that_exists() -> None:
    assert {entry["task"] for entry in queues.BEAT_SCHEDULE.values()} <= registered_tasks()


def test_every_queue_is_served_by_exactly_one_worker() -> None:
    served = [queue for _, worker_queues, _ in queues.WORKERS for queue in worker_queues]
    assert sorted(served) == sorted(queues.QUEUES)
    assert set(queues.TASK_QUEUES.values()) == set(queues.QUEUES)


def test_containers_run_the_same_workers() -> None:
    script = (ROOT / "docker" / "entrypoint.sh").read_text()
    run = dict(re.findall(r'worker -n "([a-z-]+)@%h" -Q ([a-z,]+)', script))
    assert run == {name: ",".join(worker_queues) for name, worker_queues, _ in queues.WORKERS}


@pytest.mark.django_db
@pytest.mark.once
def test_migrations_say_what_the_models_say() -> None:
    out = io.StringIO()
    try:
        call_command("makemigrations", check=True, dry_run=True, stdout=out)
    except SystemExit:
        pytest.fail(out.getvalue())


MENTIONED = re.compile(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|md|html|js|sh|conf|yml|toml))`")


def test_files_that_texts_mention_exist() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    texts = [ROOT / name for name in listed if name.endswith((".py", ".md")) and (ROOT / name).exists()]
    known = {Path(name).name for name in listed}  # beside the text, or in the folder that it names
    missing = {
        f"{name_of(path)} mentions {name}"
        for path in texts
        for name in MENTIONED.findall(path.read_text())
        if not any((folder / name).exists() for folder in (ROOT, path.parent, path.parent.parent)) and name not in known
    }
    assert missing == set()
