"""Where settings come from: the environment, `.env` beside manage.py, and `var/`. Every setting's name is explained in
`.env.example`. A secret NAME may also come from a file named by NAME_FILE.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent.parent
VAR_DIR = Path(os.environ.get("VAR_DIR") or BASE_DIR / "var")

env = environ.FileAwareEnv()
if (BASE_DIR / ".env").exists():
    env.read_env(BASE_DIR / ".env")
# An empty variable means "not set": shells and compose files write it so.
env.ENVIRON = environ.FileAwareMapping(env={name: value for name, value in os.environ.items() if value})


def generated_secret_key() -> str:
    """The embedded default's key: made once, kept in `var/secret_key`, readable by its owner only."""
    path = VAR_DIR / "secret_key"
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        key = secrets.token_urlsafe(50)
        file.write(key)
    return key


def derived_secret(purpose: str, key: str = "") -> str:
    """A secret of its own for one purpose, from SECRET_KEY or one of before (HMAC-SHA256, hex)."""
    return hmac.new((key or SECRET_KEY).encode(), purpose.encode(), hashlib.sha256).hexdigest()


SECRET_KEY = env.str("SECRET_KEY", default="") or generated_secret_key()
#: Previous keys: what was hashed with one is still recognised, and hashed with SECRET_KEY when it is used.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
