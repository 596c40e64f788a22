"""Whose address a call came from, with and without proxies in front; and log lines without credentials."""

import logging
import secrets

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.test import RequestFactory

from smsapp.core.context import client_address, network_of
from smsapp.core.log_redaction import RedactingFormatter
from smsapp.core.redis import Pause
from smsapp.monitoring import checks, proxies
from tests.support.factories import make_api_key


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "expected"),
    [
        (0, "10.0.0.1", "", "10.0.0.1"),
        (0, "10.0.0.1", "203.0.113.7", "10.0.0.1"),
        (1, "10.0.0.1", "203.0.113.7", "203.0.113.7"),
        (1, "10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        (2, "10.0.0.1", "198.51.100.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        (2, "10.0.0.1", "203.0.113.7", "10.0.0.1"),
        (1, "10.0.0.1", "", "10.0.0.1"),
        (1, "10.0.0.1", "nonsense", "10.0.0.1"),
        (1, "10.0.0.1", "2001:DB8:0::1", "2001:db8::1"),
        (0, "::ffff:203.0.113.7", "", "203.0.113.7"),
        (0, "fe80::1%eth0", "", "fe80::1"),
        (0, "", "203.0.113.7", ""),
    ],
)
def test_only_what_trusted_proxies_say_is_believed(settings, proxies, peer, forwarded, expected):
    settings.TRUSTED_PROXY_COUNT = proxies
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers={"X-Forwarded-For": forwarded})
    assert client_address(request) == expected


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("::1", "::"),
        ("", ""),
    ],
)
def test_limits_count_an_ipv6_network_as_one(address, network):
    assert network_of(address) == network


@pytest.mark.parametrize(("trusted", "forwarded", "is_seen"), [(0, True, True), (0, False, False), (1, True, False)])
def test_a_proxy_that_is_not_trusted_is_seen_and_said(
    client, settings, monkeypatch, caplog, trusted, forwarded, is_seen
):
    monkeypatch.setattr(proxies, "cache", LocMemCache(secrets.token_hex(4), {}))
    monkeypatch.setattr(proxies, "_recorded", Pause(proxies.RECORD_EVERY))
    settings.TRUSTED_PROXY_COUNT = trusted
    for _ in range(2):
        client.get("/sw.js", headers={"X-Forwarded-For": "203.0.113.7"} if forwarded else {})
    assert ("smsapp.E117" in {one.id for one in checks.callers(None)}) is is_seen
    assert len([one for one in caplog.records if "TRUSTED_PROXY_COUNT" in one.message]) == is_seen
    proxies.log_untrusted_at_start(trusted)
    assert len([one for one in caplog.records if "TRUSTED_PROXY_COUNT" in one.message]) == 2 * is_seen


@pytest.mark.django_db
@pytest.mark.once
def test_a_keys_networks_are_held_against_that_address(client, settings):
    _, text = make_api_key(allowed_networks=["203.0.113.0/24"])
    headers = {"X-API-Key": text, "X-Forwarded-For": "203.0.113.7"}
    assert client.get("/api/v1/senders", headers=headers).status_code == 403
    settings.TRUSTED_PROXY_COUNT = 1
    assert client.get("/api/v1/senders", headers=headers).status_code == 200


def test_a_log_line_holds_no_credential_wherever_it_came_from():
    key = "sms_live_abcdefghij_" + "S" * 49
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_"
    try:
        raise ValueError(f"refused {key}")
    except ValueError as error:
        record = logging.makeLogRecord(
            {"msg": "%s and %s", "args": (key, token), "exc_info": (ValueError, error, None)}
        )
    line = RedactingFormatter("%(message)s").format(record)
    assert "SSSS" not in line
    assert "c2lnbmF0dXJl" not in line
    assert line.startswith("sms_live_abcdefghij_[secret] and [token]")
    assert "refused sms_live_abcdefghij_[secret]" in line
