"""What the environment says before any setting is read: which settings are meant."""

import os
from pathlib import Path

import environ

DOTENV = Path(__file__).resolve().parents[2] / ".env"


def choose_settings() -> None:
    """The settings module that the environment names, or `.env` beside manage.py, or else `smsapp.settings.base`."""
    if DOTENV.exists():
        environ.Env.read_env(DOTENV)
    if not os.environ.get("DJANGO_SETTINGS_MODULE"):  # set and empty means not set, as everywhere
        os.environ["DJANGO_SETTINGS_MODULE"] = "smsapp.settings.base"
