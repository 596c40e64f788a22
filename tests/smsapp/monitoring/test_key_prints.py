"""A process whose keys are not those of the database does not start, and says why; a change of keys stops nothing."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import Error, connection

from accounts.models import Setting
from accounts.security import encryption
from smsapp.monitoring import key_prints
from smsapp.monitoring.key_prints import WrongKeys
from tests.support.factories import AccountFactory
from uploads.suppressions import suppress

OLD, NEW, FOREIGN = "old-key-" * 5, "new-key-" * 5, "foreign-key-" * 5


@pytest.mark.django_db
def test_encryption_keys_change_without_a_refusal_and_only_the_last_step_shuts_the_old_one_out(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    key_prints.require()
    for keys in ([OLD, NEW], [NEW, OLD], [OLD, NEW], [NEW, OLD]):
        settings.ENCRYPTION_KEYS = keys
        key_prints.require()
    settings.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(WrongKeys, match="encrypted with a key"):  # before what it encrypted is rotated
        key_prints.require()
    settings.ENCRYPTION_KEYS = [OLD]
    with pytest.raises(WrongKeys):  # others encrypt with the new one already
        key_prints.require()
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    call_command("rotate_secrets")
    settings.ENCRYPTION_KEYS = [NEW]
    key_prints.require()
    settings.ENCRYPTION_KEYS = [FOREIGN]
    with pytest.raises(WrongKeys):
        key_prints.require()
    call_command("rotate_secrets", give_up_unreadable=True)
    key_prints.require()


@pytest.mark.django_db
def test_the_key_of_opt_outs_may_change_only_while_there_is_none(settings: Any) -> None:
    key_prints.require()
    settings.OWN_KEYS = settings.OWN_KEYS | {"suppressions": (NEW, "")}
    key_prints.require()
    suppress(AccountFactory(), "+491701234567", "asked for it")
    key_prints.require()
    settings.OWN_KEYS = settings.OWN_KEYS | {"suppressions": (FOREIGN, "")}
    with pytest.raises(WrongKeys, match="SUPPRESSION_KEY"):
        key_prints.require()


@pytest.mark.django_db
def test_no_key_is_stored(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    key_prints.require()
    stored = Setting.objects.get(key=key_prints.KEY).value
    assert OLD not in stored
    assert encryption.key_texts()[-1] not in stored


@pytest.mark.django_db
def test_a_process_that_found_no_database_is_ended_once_its_keys_turn_out_wrong(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_prints.require()
    settings.ENCRYPTION_KEYS = [FOREIGN]
    key_prints.note_rotated()
    settings.ENCRYPTION_KEYS = [NEW]
    looks, ended = [], []
    real = key_prints.require

    def require() -> None:
        looks.append(1)
        if len(looks) < 3:
            raise Error("away")
        real()

    monkeypatch.setattr(key_prints, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(key_prints, "require", require)
    monkeypatch.setattr(connection, "close", lambda: None)
    key_prints._look_again(lambda: ended.append(1))
    assert (len(looks), len(ended)) == (3, 1)


PROCESSES = {
    "web": ["gunicorn", "smsapp.wsgi", "--bind", "127.0.0.1:0", "--workers", "1"],
    "worker": ["celery", "--quiet", "-A", "smsapp", "worker", "-Q", "singles", "-c", "1"],
    "beat": ["celery", "--quiet", "-A", "smsapp", "beat"],
}


@pytest.mark.long
@pytest.mark.once
def test_processes_with_other_keys_do_not_start_and_say_why(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "SECRET_KEY")}
    environment = kept | {"VAR_DIR": str(tmp_path / "var"), "DJANGO_SETTINGS_MODULE": "smsapp.settings.base"}
    environment |= {"DATABASE_URL": f"sqlite:///{tmp_path}/smsapp.sqlite3", "REDIS_URL": "redis://127.0.0.1:1/0"}
    environment |= {"CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}

    def run(command: list[str], keys: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, *command],
            env=environment | {"ENCRYPTION_KEYS": keys},
            cwd=django_settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    assert run(["manage.py", "demo_account"], OLD)[0] == 0
    for name, command in PROCESSES.items():
        code, said = run(["-m", *command], NEW)
        assert code != 0, name
        assert "ENCRYPTION_KEYS" in said, name
    code, said = run(["manage.py", "demo_account"], NEW)  # with which `manage.py run` begins
    assert code == 1
    assert "ENCRYPTION_KEYS" in said
    assert "Traceback" not in said
    assert run(["manage.py", "demo_account"], f"{NEW},{OLD}")[0] == 0


@pytest.mark.django_db
def test_demo_account_names_the_reason(settings: Any) -> None:
    key_prints.require()
    settings.ENCRYPTION_KEYS = [FOREIGN]
    key_prints.note_rotated()
    settings.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(CommandError, match="Secrets in this database"):
        call_command("demo_account")
