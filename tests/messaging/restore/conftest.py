"""What every test of a restore stands on."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from messaging.restore import high_water_mark
from tests.support.pipeline.restores import new_connection


@pytest.fixture(autouse=True)
def outside(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Witnesses of the test's own, a quick provider, and no memory of an earlier look."""
    settings.VAR_DIR = tmp_path
    settings.REDIS_KEY_PREFIX = f"{django_settings.REDIS_KEY_PREFIX}:{tmp_path.name}"
    settings.RELEASE_LOOKUPS_PER_MINUTE = 60_000.0
    settings.BATCH_SIZE = 2
    monkeypatch.setattr("messaging.management.commands.release.LOOK", 0.05)
    new_connection()
    yield
    with suppress(RedisError):
        get_redis_connection("default").delete(high_water_mark.OUTSIDE.key)
    new_connection()
