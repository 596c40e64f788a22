"""The shape of the house, proven on its source: who may import whom, what runs where, what must not be used."""

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from django.core.management import call_command

from smsapp import queues

ROOT = Path(settings.BASE_DIR)
ARROW = ("accounts", "uploads", "campaigns", "messaging", "reports")
#: Doors may call services and selectors to their right where their page is about them.
DOORS = {"api", "views", "admin", "forms", "urls", "templatetags", "management"}
PURE = (
    *sorted((ROOT / "smsapp" / "lib").glob("*.py")),
    *(
        ROOT / "uploads" / name
        for name in ("files/encodings.py", "files/records.py", "files/parsing.py", "files/screening.py", "chunks.py")
    ),
    ROOT / "campaigns" / "rendering.py",
    ROOT / "messaging" / "routing" / "throttle_state.py",
)
#: What sets providers up and asks the database for it; all else in the folder speaks with providers.
SETTING_UP = {"__init__", "registry", "factory", "probe", "balance"}
GATEWAYS = sorted(path for path in (ROOT / "messaging" / "gateways").glob("*.py") if path.stem not in SETTING_UP)
SEND_PATH = [
    path for app in ARROW for path in sorted((ROOT / app).rglob("*.py")) if "migrations" not in path.parts
]  # fmt: skip


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    """Modules a file imports, at its top or inside a function, but not those for type checkers only."""
    for node in _walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _walk(child)


def rooms(app: str) -> list[Path]:
    """The modules of an app that are no doors."""
    return [
        path
        for path in sorted((ROOT / app).rglob("*.py"))
        if not DOORS & {path.stem, *path.relative_to(ROOT).parts[1:-1]} and "migrations" not in path.parts
    ]


@pytest.mark.parametrize("app", ARROW)
def test_imports_run_from_left_to_right_only(app: str) -> None:
    right = set(ARROW[ARROW.index(app) + 1 :])
    wrong = {
        f"{name_of(path)} imports {module}"
        for path in rooms(app)
        for module in imports(path)
        if module.split(".")[0] in right
    }
    assert wrong == set()


@pytest.mark.parametrize("app", ARROW)
def test_doors_change_nothing_to_their_right_but_through_services(app: str) -> None:
    right = set(ARROW[ARROW.index(app) + 1 :])
    forbidden = {"tasks", "dispatch", "expansion", "settlement", "sweeps", "bulk", "reconciliation"}
    wrong = {
        f"{name_of(path)} imports {module}"
        for path in set((ROOT / app).rglob("*.py")) - set(rooms(app))
        for module in imports(path)
        if module.split(".")[0] in right and set(module.split(".")[1:2]) & forbidden
    }
    assert wrong == set()


@pytest.mark.parametrize("path", GATEWAYS, ids=name_of)
def test_gateways_know_no_orm_no_settings_and_no_celery(path: Path) -> None:
    forbidden = ("django", "celery", "kombu", "accounts", "uploads", "campaigns", "reports", "messaging.models")
    wrong = {module for module in imports(path) if f"{module}.".startswith(tuple(f"{name}." for name in forbidden))}
    assert wrong == set()
    allowed = ("messaging.choices", "messaging.gateways")
    assert {module for module in imports(path) if module.startswith("messaging.")} == {
        module for module in imports(path) if module.startswith(allowed)
    }


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_modules_import_neither_django_nor_an_app(path: Path) -> None:
    allowed = {".".join(pure.relative_to(ROOT).with_suffix("").parts) for pure in PURE} | {"smsapp.core.exceptions"}
    allowed |= {"uploads.choices"}  # the words for reasons, and nothing else
    outside = {"django", "rest_framework", "celery", "smsapp", *ARROW}
    wrong = {
        module
        for module in imports(path)
        if module.split(".")[0] in outside
        and module not in ("smsapp.lib", *{name.rpartition(".")[0] for name in allowed})
        and not any(f"{module}.".startswith(f"{name}.") for name in allowed)
    }
    assert wrong == set()


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
        for app in (*ARROW, "smsapp")
        for path in sorted((ROOT / app).rglob("*.py"))
        if not {"migrations", "simulator"} & set(path.parts) and CLOCKS.search(path.read_text())
    }
    assert found == set(HOST_CLOCK)


def registered_tasks() -> set[str]:
    current_app.loader.import_default_modules()
    return {name for name in current_app.tasks if name.split(".")[0] in (*ARROW, "smsapp")}


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
