"""Which settings the environment names, before any setting is read."""

import os
from pathlib import Path

import environ

DOTENV = Path(__file__).resolve().parents[2] / ".env"


def choose_settings() -> None:
    """Set the settings module that the environment or `.env` beside manage.py names, or `smsapp.settings.base`."""
    if DOTENV.exists():
        environ.Env.read_env(DOTENV)
    if not os.environ.get("DJANGO_SETTINGS_MODULE"):  # set and empty means not set, as everywhere
        os.environ["DJANGO_SETTINGS_MODULE"] = "smsapp.settings.base"
