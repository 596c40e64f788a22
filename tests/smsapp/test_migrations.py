"""Migrations that have landed stay as they are, and a filled database of the last release is upgraded as it stands."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from tests.data.migrations import APPS, RELEASED, frozen, present

HOW = "python -m tests.data.migrations"

#: Applies the migrations of the last release and fills their tables: two rows in each, and what migrations have to
#: take care of: addresses that differ in case only, a gateway that is switched on, an upload of a workbook's CSV.
FILL = """
import django, sys
django.setup()
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
released = dict(pair.split("/") for pair in sys.argv[1:])
for app, name in released.items():
    call_command("migrate", app, name, verbosity=0)
apps = MigrationExecutor(connection).loader.project_state(list(released.items())).apps
made = {}

def value(field, n):
    if field.choices:
        return field.choices[0][0]
    if isinstance(field, models.DateTimeField):
        return timezone.now()
    if isinstance(field, models.DateField):
        return timezone.now().date()
    if isinstance(field, models.TimeField):
        return timezone.now().time()
    if isinstance(field, models.EmailField):
        return ("Anna@example.com", "anna@example.com")[n]
    if isinstance(field, models.GenericIPAddressField):
        return "10.0.0.1"
    if isinstance(field, (models.CharField, models.TextField)):
        return f"{field.name[:6]}{n}"[: field.max_length or 20]
    if isinstance(field, models.BooleanField):
        return True
    if isinstance(field, models.BinaryField):
        return b"x"
    if isinstance(field, models.JSONField):
        return {}
    if isinstance(field, models.UUIDField):
        import uuid
        return uuid.uuid4()
    return n

def fill(model):
    if model in made:
        return made[model]
    made[model] = []
    for n in range(2):
        values = {}
        for field in model._meta.concrete_fields:
            if field.is_relation:
                if field.related_model is model or (field.null and field.related_model not in made):
                    continue
                rows = fill(field.related_model)
                values[field.attname] = rows[n].pk if n < len(rows) else None
            elif not field.primary_key and (not field.has_default() or field.unique) and not field.null:
                values[field.attname] = value(field, n)
            elif field.primary_key and not isinstance(field, models.AutoField):
                values[field.attname] = value(field, n + 1)
        made[model].append(model.objects.create(**values))
    return made[model]

for label in released:
    for model in apps.get_app_config(label).get_models():
        if model._meta.managed:
            fill(model)
print(sum(map(len, made.values())))
"""
LOOK = """
import json, django
django.setup()
from django.apps import apps
from django.core.management import call_command
call_command("migrate", verbosity=0)
from accounts.models import AuditEvent, User
from messaging.models import Gateway
print(json.dumps({
    "rows": {model._meta.label: model._base_manager.count() for model in apps.get_models() if model._meta.managed},
    "addresses": sorted(User.objects.exclude(email="").values_list("email", flat=True)),
    "on": list(Gateway.objects.filter(is_enabled=True, tested_at=None).values_list("name", flat=True)),
}))
"""


def test_a_migration_that_has_landed_is_never_changed() -> None:
    now, before = present(), frozen()
    assert {name for name, digest in before.items() if now.get(name) != digest} == set(), "write another migration"
    assert set(now) - set(before) == set(), f"new migrations: {HOW}"


def test_the_last_release_is_of_migrations_that_there_are() -> None:
    assert set(RELEASED) == set(APPS)
    assert {f"{app}/{name}" for app, name in RELEASED.items()} <= set(frozen())


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@contextmanager
def empty_database(folder: Path) -> Iterator[str]:
    """Its URL."""
    if connection.vendor != "postgresql":
        yield f"sqlite:///{folder / 'upgraded.sqlite3'}"
        return
    values, name = connection.settings_dict, f"{connection.settings_dict['NAME']}_upgraded"
    server = f"postgres://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT']}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as own:
        own.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield f"{server}/{name}"
    finally:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as own:
            own.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.django_db
def test_a_filled_database_of_the_last_release_is_upgraded(tmp_path: Path) -> None:
    with empty_database(tmp_path) as url:
        environment = os.environ | {
            "DATABASE_URL": url,
            "VAR_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "smsapp.settings.test",
        }

        def run(*command: str) -> str:
            done = subprocess.run(
                [sys.executable, *command],
                env=environment,
                cwd=settings.BASE_DIR,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, f"{done.stderr[:3000]} … {done.stderr[-1500:]}"
            return done.stdout

        filled = int(run("-c", FILL, *(f"{app}/{name}" for app, name in RELEASED.items())).splitlines()[-1])
        assert filled > 60
        after: dict[str, Any] = json.loads(run("-c", LOOK).splitlines()[-1])
    kept = {label: count for label, count in after["rows"].items() if label.split(".")[0] in RELEASED}
    assert sum(kept.values()) >= filled
    assert len(set(map(str.lower, after["addresses"]))) == len(after["addresses"])
    assert after["addresses"] == [address.lower() for address in after["addresses"]]
    assert after["on"] == [], "what worked goes on working: it counts as tested"
