"""What every test stands on: no network but loopback, folders of its own, and which tests run on which database.

`make test` (tests/run.py) runs everything on PostgreSQL with Redis, and on SQLite the tests marked `both`.
Plain `python -m pytest` runs on what DATABASE_URL and REDIS_URL name, and on SQLite without them.
"""

import ipaddress
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.test import Client

from smsapp.core import pulse
from tests.support.conventions import violations

DATABASE_FIXTURES = {"db", "transactional_db", "django_db_reset_sequences", "live_server"}
ON_POSTGRESQL = "postgresql" in django_settings.DATABASES["default"]["ENGINE"]


class NetworkClosed(RuntimeError):
    pass


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "localhost.localdomain", ""):
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


def _guarded_connect(method: str) -> Any:
    real = getattr(socket.socket, method)

    def connect(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX and not _is_loopback(str(address[0])):
            self.close()
            raise NetworkClosed(f"A test tried to reach {address[0]}: only loopback is open.")
        return real(self, address)

    return connect


def _guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or _is_loopback(name) or name == socket.gethostname() or name.replace(".", "").isdigit():
        return _getaddrinfo(host, *args, **kwargs)
    if name.endswith(".invalid"):  # the reserved name that never resolves, for tests of exactly that
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    raise NetworkClosed(f"A test tried to look up {name}: only loopback is open.")


_getaddrinfo = socket.getaddrinfo
socket.getaddrinfo = _guarded_getaddrinfo
for _method in ("connect", "connect_ex"):
    setattr(socket.socket, _method, _guarded_connect(_method))


@pytest.fixture(autouse=True)
def own_folders(settings: Any, tmp_path: Path) -> None:
    settings.UPLOAD_DIR = tmp_path / "uploads"


@pytest.fixture(autouse=True, scope="session")
def conventions() -> Iterator[None]:
    """Look at every answer of the API, and every event, that any test causes."""
    from accounts.webhooks import outbox
    from smsapp.api.envelope import EnvelopeRenderer

    render, body_of = EnvelopeRenderer.render, outbox.body_of

    def looked_at(content: Any) -> Any:
        found = json.loads(content) if content else {}
        assert not (wrong := [*violations(found)]), wrong
        return content

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(EnvelopeRenderer, "render", lambda *args, **options: looked_at(render(*args, **options)))
        patched.setattr(outbox, "body_of", lambda *args: looked_at(body_of(*args)))
        yield


_pulse_ages = pulse.ages


@pytest.fixture(autouse=True)
def everything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test has beat and workers beside it: to health and notices they run, where that is not the subject."""
    monkeypatch.setattr(pulse, "ages", lambda: dict.fromkeys(pulse.EXPECTED, 0.0))


@pytest.fixture
def really_look_for_pulses(everything_runs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "ages", _pulse_ages)


@pytest.fixture(autouse=True)
def forgetful(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What processes remember of the database for some seconds is another database's in the next test; and where there
    is none, nobody asks it for gateways or the time."""
    from messaging.gateways import registry
    from messaging.routing import rotation, router, sender_rates
    from smsapp.core import clock, process_cache

    def forget() -> None:
        registry.reset()
        process_cache.clear()
        sender_rates.forget()
        rotation.forget()

    if not _uses_database(request.node):
        monkeypatch.setattr(registry._console, "_read", registry._Console)
        monkeypatch.setattr(router, "_routes", list)
        monkeypatch.setattr(router, "_shares", dict)
        monkeypatch.setattr(clock, "_asked", lambda: None)
    forget()
    yield
    forget()


@pytest.fixture
def client() -> Iterator[Client]:
    """Instead of pytest-django's: pages are asked for in an account and mode."""
    from tests.support.pages import Browser

    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def redis_client() -> Iterator["redis.Redis"]:
    """The server of REDIS_URL; use keys that begin with `settings.REDIS_KEY_PREFIX`: others use it too."""
    with redis.Redis.from_url(django_settings.REDIS_URL, socket_connect_timeout=2) as client:
        try:
            client.ping()
        except redis.RedisError:
            pytest.skip("needs a Redis server: set REDIS_URL, or run `make test`")
        yield client


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give `both` to what uses the database and is not marked `once`. Put tests marked `platform` first: they then run
    mostly in one process, one at a time, while the others take whatever is left. (Stealing work would run tests after
    those that empty the database.)
    """
    items.sort(key=lambda item: item.get_closest_marker("platform") is None)
    for item in items:
        if _uses_database(item) and not item.get_closest_marker("once"):
            item.add_marker("both")
        if item.get_closest_marker("postgresql") and not ON_POSTGRESQL:
            item.add_marker(pytest.mark.skip(reason="needs PostgreSQL: set DATABASE_URL, or run `make test`"))


def _uses_database(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    return item.get_closest_marker("django_db") is not None or bool(fixtures & DATABASE_FIXTURES)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail on any skip where REQUIRE_ALL=1; leave the outcome for tests/run.py in the file TEST_REPORT names."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    skipped = [f"{_name(report)}: {_reason(report)}" for report in reporter.stats.get("skipped", [])]
    if skipped and os.environ.get("REQUIRE_ALL") == "1" and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if path := os.environ.get("TEST_REPORT"):
        Path(path).write_text(json.dumps({"skipped": skipped, "line": _summary_line(reporter)}))


def _name(report: Any) -> str:
    return str(report.nodeid)


def _reason(report: Any) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(getattr(report, "wasxfail", report.longrepr))


def _summary_line(reporter: Any) -> str:
    parts, _ = reporter.build_summary_stats_line()
    return ", ".join(text for text, _ in parts)
