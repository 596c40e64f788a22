"""Secrets at rest: a dump shows none, keys change without a pause."""

import base64
import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Account, WebhookEndpoint
from accounts.security import encryption
from accounts.webhooks import endpoints
from tests.support.factories import MembershipFactory

OLD, NEW = "old-key-" * 5, "new-key-" * 5


@pytest.fixture
def endpoint(db: None, settings: Any) -> tuple[WebhookEndpoint, str]:
    settings.WEBHOOK_ALLOW_LOCAL = True
    settings.ENCRYPTION_KEYS = [OLD]
    member = MembershipFactory()
    return endpoints.create(member.account, "live", member.user, "http://127.0.0.1:1/")


def rotate() -> str:
    out = io.StringIO()
    call_command("rotate_secrets", stdout=out)
    return out.getvalue()


def test_what_was_encrypted_is_read_again() -> None:
    for text in ("", "whsec_abc", "ü\x00" * 1000):
        assert encryption.decrypt(encryption.encrypt(text)) == text
    assert encryption.encrypt("a") != encryption.encrypt("a")


def test_a_dump_shows_no_secret(endpoint: tuple[WebhookEndpoint, str]) -> None:
    row, secret = endpoint
    callback = endpoints.callback_secret(row.account)
    _, newer = endpoints.rotate_secret(row, MembershipFactory(account=row.account).user)
    out = io.StringIO()
    call_command("dumpdata", "accounts", stdout=out)
    for shown in (secret, newer, callback):
        raw = base64.b64decode(shown.removeprefix("whsec_"))
        assert len(raw) == 32
        for trace in (shown.removeprefix("whsec_"), raw.hex()):
            assert trace not in out.getvalue()


def test_keys_change_in_three_steps_and_nothing_stops(endpoint: tuple[WebhookEndpoint, str], settings: Any) -> None:
    row, secret = endpoint
    callback = endpoints.callback_secret(row.account)
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert endpoints.signing_secrets(row) == [secret]
    assert "accounts.WebhookEndpoint.secret: 1" in rotate()
    settings.ENCRYPTION_KEYS = [NEW]
    row.refresh_from_db()
    assert endpoints.signing_secrets(row) == [secret]
    assert endpoints.callback_secret(row.account) == callback


def test_a_first_key_takes_over_what_was_encrypted_without_one(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = []
    token = encryption.encrypt("secret")
    settings.ENCRYPTION_KEYS = [NEW]
    assert encryption.decrypt(token) == "secret"


def test_a_lost_key_is_said_so_and_changes_nothing(endpoint: tuple[WebhookEndpoint, str], settings: Any) -> None:
    row, _ = endpoint
    settings.ENCRYPTION_KEYS = [NEW]
    row.refresh_from_db()
    before = row.secret
    with pytest.raises(encryption.SecretUnreadable, match="ENCRYPTION_KEYS"):
        endpoints.signing_secrets(row)
    with pytest.raises(CommandError, match=f"WebhookEndpoint {row.pk}, secret"):
        rotate()
    row.refresh_from_db()
    assert row.secret == before


def test_rotation_goes_through_everything_batch_by_batch(
    endpoint: tuple[WebhookEndpoint, str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encryption, "BATCH", 2)
    accounts = [MembershipFactory().account for _ in range(5)]
    texts = {account.pk: endpoints.callback_secret(account) for account in accounts}
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert "accounts.Account.callback_secret: 5" in rotate()
    settings.ENCRYPTION_KEYS = [NEW]
    assert {pk: endpoints.callback_secret(Account.objects.get(pk=pk)) for pk in texts} == texts


def test_every_field_that_says_it_is_encrypted_is_rotated() -> None:
    from django.apps import apps

    said = {
        (model._meta.label, field.name)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if str(field.help_text).startswith("Encrypted")
    }
    assert said <= set(encryption._FIELDS)
