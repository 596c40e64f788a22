"""System checks find what an installation lacks, and are silent about one that lacks nothing."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks

from smsapp.monitoring import checks

ROOT = Path(django_settings.BASE_DIR)
PRODUCTION = {
    "SECRET_KEY": "k" * 60,
    "DEBUG": False,
    "ALLOWED_HOSTS": ["sms.example.com"],
    "PUBLIC_URL": "https://sms.example.com",
    "TRUSTED_PROXY_COUNT": 1,
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "SECURE_SSL_REDIRECT": True,
    "INFOBIP_BASE_URL": "https://x.api.infobip.com",
    "INFOBIP_API_KEY": "key",
    "ENCRYPTION_KEYS": ["e" * 44],
    "METRICS_TOKEN": "m" * 40,
    "METRICS_NEED_TOKEN": True,
    "INSTANCE_ID": "sms-1",
}
SECRETS = {"SECRET_KEY": "k" * 60, "REDIS_URL": "redis://redis:6379/0"}
ALL = (
    checks.timers,
    checks.sizes,
    checks.gateway,
    checks.secrets,
    checks.web,
    checks.callers,
    checks.stores,
    checks.live_gateway,
    checks.monitoring,
    checks.pages,
)


@pytest.fixture
def production(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in PRODUCTION.items():
        setattr(settings, name, value)
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "smsapp.database.postgresql")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(checks.proxies, "untrusted", lambda: "")  # what other tests' calls came through
    return settings


def found() -> set[str]:
    return {str(message.id) for check in ALL for message in check(None)}


def test_a_complete_production_lacks_nothing(production: Any) -> None:
    assert found() == set()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("LEASE_SECONDS", 20.0, "smsapp.E001"),
        ("BATCH_SIZE", 1001, "smsapp.E002"),
        ("BATCH_SIZE", 0, "smsapp.E002"),
        ("CELERY_BROKER_TRANSPORT_OPTIONS", {"visibility_timeout": 120}, "smsapp.E003"),
        ("TASK_BUDGET", 50.0, "smsapp.E004"),
        ("GATEWAY_CONNECT_TIMEOUT", 16.0, "smsapp.E005"),
        ("CHUNK_SIZE", 999, "smsapp.E006"),
        ("INFOBIP_API_KEY", "", "smsapp.E007"),
        ("INFOBIP_BASE_URL", "x.api.infobip.com", "smsapp.E008"),
        ("INFOBIP_BASE_URL", "http://x.api.infobip.com", "smsapp.E009"),
        ("SECRET_KEY", "short", "smsapp.E102"),
        ("DEBUG", True, "smsapp.E111"),
        ("ALLOWED_HOSTS", ["127.0.0.1", "localhost"], "smsapp.E112"),
        ("ALLOWED_HOSTS", ["*"], "smsapp.E113"),
        ("PUBLIC_URL", "http://sms.example.com", "smsapp.E114"),
        ("CSRF_COOKIE_SECURE", False, "smsapp.E115"),
        ("TRUSTED_PROXY_COUNT", 0, "smsapp.W116"),
        ("INFOBIP_BASE_URL", "", "smsapp.E131"),
        ("METRICS_TOKEN", "", "smsapp.W119"),
        ("INSTANCE_ID", "", "smsapp.W124"),
    ],
)
def test_each_lack_is_found_and_nothing_else(production: Any, name: str, value: object, expected: str) -> None:
    setattr(production, name, value)
    assert found() == {expected}


def test_sqlite_is_refused_in_production(production: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(production.DATABASES["default"], "ENGINE", "smsapp.database.sqlite")
    assert found() == {"smsapp.E121"}


def test_metrics_that_are_open_are_an_error(production: Any) -> None:
    production.METRICS_TOKEN, production.METRICS_NEED_TOKEN = "", False
    assert found() == {"smsapp.E119"}


def test_pages_without_their_files_are_an_error(production: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "staticfiles_storage", SimpleNamespace(hashed_files={}))
    assert found() == {"smsapp.E118"}
    collected = SimpleNamespace(hashed_files=dict.fromkeys(checks._assets(), "x"))
    monkeypatch.setattr(checks, "staticfiles_storage", collected)
    assert found() == set()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("SECRET_KEY", "smsapp.E101"), ("REDIS_URL", "smsapp.E122")],
)
def test_what_only_the_environment_tells(
    production: Any, monkeypatch: pytest.MonkeyPatch, name: str, expected: str
) -> None:
    monkeypatch.delenv(name)
    assert found() == {expected}
    monkeypatch.setenv(f"{name}_FILE", "/run/secrets/x")
    assert found() == set()


def test_a_simulator_on_this_machine_may_be_reached_without_tls(production: Any) -> None:
    production.INFOBIP_BASE_URL = "http://127.0.0.1:5003"
    assert found() == set()


@pytest.mark.django_db
@pytest.mark.once
def test_the_embedded_default_starts_without_errors() -> None:
    assert run_checks() == []


@pytest.mark.django_db
@pytest.mark.once
def test_production_is_refused_with_its_reasons() -> None:
    ids = {message.id for message in run_checks(include_deployment_checks=True)}
    assert {"smsapp.E114", "smsapp.E115", "smsapp.E131"} <= ids


def test_every_variable_that_settings_read_is_in_the_example() -> None:
    pattern = re.compile(r"""env(?:\.[a-z_]+)?\(\s*"([A-Z_]+)"|environ(?:\.get|\.setdefault)?[(\[]"([A-Z_]+)""")
    sources = [*(ROOT / "smsapp" / "settings").glob("*.py"), ROOT / "smsapp" / "management" / "commands" / "run.py"]
    read = {name for path in sources for pair in pattern.findall(path.read_text()) for name in pair if name}
    explained = set(re.findall(r"^# ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert len(read) > 30
    assert read - explained == set()
    assert explained - read <= {"DJANGO_SETTINGS_MODULE"}
