"""`.env` says which settings are meant, as it says everything else."""

import os
from pathlib import Path
from typing import Any

import pytest

from smsapp.runtime import environment
from smsapp.runtime.environment import choose_settings


@pytest.fixture
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environment, "DOTENV", tmp_path / ".env")
    for name in ("DJANGO_SETTINGS_MODULE", "OF_DOTENV"):
        monkeypatch.setenv(name, "x")  # put back as it was afterwards
        monkeypatch.delenv(name)
    return tmp_path / ".env"


@pytest.mark.parametrize(
    ("written", "set_before", "chosen"),
    [
        (None, None, "smsapp.settings.base"),
        ("OF_DOTENV=1", None, "smsapp.settings.base"),
        ("DJANGO_SETTINGS_MODULE=smsapp.settings.prod", None, "smsapp.settings.prod"),
        ("DJANGO_SETTINGS_MODULE=smsapp.settings.prod", "smsapp.settings.test", "smsapp.settings.test"),
        ("DJANGO_SETTINGS_MODULE=", "", "smsapp.settings.base"),
    ],
)
def test_the_environment_counts_then_the_file_then_the_default(
    dotenv: Path, monkeypatch: pytest.MonkeyPatch, written: str | None, set_before: str | None, chosen: str
) -> None:
    if written is not None:
        dotenv.write_text(f"{written}\n")
    if set_before is not None:
        monkeypatch.setenv("DJANGO_SETTINGS_MODULE", set_before)
    choose_settings()
    settings: Any = os.environ["DJANGO_SETTINGS_MODULE"]
    assert settings == chosen
