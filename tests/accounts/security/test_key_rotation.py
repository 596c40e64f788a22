"""The drill: SECRET_KEY is changed as the README says, and nothing is forgotten. Each step is a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes")
OLD, NEW = "old-" * 15, "new-" * 15
NUMBER = "+4915112345678"

MAKE = """
from accounts.access.api_keys import Issuer, issue_api_key
from accounts.models import Account, Membership, User, WebhookEndpoint
from accounts.security.encryption import encrypt
from uploads.choices import OptOutSource
from uploads.suppressions import opt_out
user = User.objects.create_user("anna", "anna@example.com", "correct horse battery")
account = Account.objects.create(name="Corner Shop")
Membership.objects.create(account=account, user=user, role="owner")
opt_out(account, NUMBER, OptOutSource.KEYWORD, "STOP")
WebhookEndpoint.objects.create(account=account, url="https://example.com/hook", secret=encrypt("whsec_x"))
"""
LOOK = """
from smsapp.monitoring import key_prints
key_prints.require()
from accounts.models import Account, WebhookEndpoint
from accounts.security.encryption import decrypt
from campaigns.texts.opt_out_links import token_of
from messaging.gateways.registry import callback_token
from uploads.suppressions import suppressed_among
account = Account.objects.get(name="Corner Shop")
print(json.dumps({
    "opted out": sorted(suppressed_among(account, [NUMBER])),
    "opt-out link": token_of(account.pk, NUMBER),
    "callback token": callback_token("infobip"),
    "other callback token": callback_token("acme"),
    "webhook": decrypt(WebhookEndpoint.objects.get().secret),
}))
"""


def run(folder: Path, key: str, *command: str, fallback: str = "") -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "REDIS_URL")}
    environment = kept | {
        "VAR_DIR": str(folder),
        "SECRET_KEY": key,
        "SECRET_KEY_FALLBACKS": fallback,
        "DJANGO_SETTINGS_MODULE": "smsapp.settings.base",
    }
    return subprocess.run(
        [sys.executable, *command],
        env=environment,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def script(folder: Path, key: str, code: str, **options: str) -> subprocess.CompletedProcess[str]:
    start = f"import json, django; django.setup(); NUMBER = {NUMBER!r}\n"
    return run(folder, key, "-c", start + code, **options)


def look(folder: Path, key: str, **options: str) -> dict[str, Any]:
    done = script(folder, key, LOOK, **options)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


UPGRADE = """
from accounts.models import OwnKey
OwnKey.objects.all().delete()  # as a version before had none
"""


@pytest.mark.long
def test_an_upgrade_with_another_secret_key_stores_nothing_wrong(tmp_path: Path) -> None:
    for done in (run(tmp_path, OLD, "manage.py", "migrate", "-v", "0"), script(tmp_path, OLD, MAKE)):
        assert done.returncode == 0, done.stderr
    before = look(tmp_path, OLD)
    assert script(tmp_path, OLD, UPGRADE).returncode == 0
    assert "WrongKeys" in script(tmp_path, NEW, LOOK).stderr
    assert look(tmp_path, NEW, fallback=OLD) == before
    assert look(tmp_path, OLD, fallback=NEW)["opted out"] == before["opted out"]


@pytest.mark.long
def test_a_change_of_the_secret_key_forgets_nothing(tmp_path: Path) -> None:
    for done in (run(tmp_path, OLD, "manage.py", "migrate", "-v", "0"), script(tmp_path, OLD, MAKE)):
        assert done.returncode == 0, done.stderr
    before = look(tmp_path, OLD)
    assert (before["opted out"], before["webhook"]) == ([NUMBER], "whsec_x")

    too_early = script(tmp_path, NEW, LOOK)
    assert "encrypted with a key that this process does not have" in too_early.stderr

    assert look(tmp_path, NEW, fallback=OLD) == before
    rotated = run(tmp_path, NEW, "manage.py", "rotate_secrets", fallback=OLD)
    assert rotated.returncode == 0, rotated.stderr
    assert look(tmp_path, NEW) == before
    assert script(tmp_path, OLD, LOOK).returncode, "the old key opens nothing any more"
