"""What is logged and told to Sentry names no number, text or secret, and is not told a thousand times."""

import io
import json
import logging
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as django_settings

from smsapp.core import log_damping
from smsapp.core.log_damping import Damping
from smsapp.core.log_redaction import RedactingFormatter, redacted

NUMBER, TEXT, TOKEN = "4915112345678", "Your code is 471199", "s3cr3t-callback-t0ken"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"Internal Server Error: /callbacks/infobip/{TOKEN}", "Internal Server Error: /callbacks/infobip/[secret]"),
        (f"POST /callbacks/acme-1/{TOKEN}/inbound 500", "POST /callbacks/acme-1/[secret]/inbound 500"),
        ("GET /o/abcDEF123 404", "GET /o/[secret] 404"),
        ("GET /accounts/invitations/abcdef/ 200", "GET /accounts/invitations/[secret]/ 200"),
        (f"GET /api/v1/sms?phone_number=%2B{NUMBER}&limit=5", "GET /api/v1/sms?phone_number=[hidden]&limit=5"),
        (f"refused +{NUMBER}: unknown", "refused +491…78: unknown"),
        (f"{{'to': '{NUMBER}'}}", "{'to': '491…78'}"),
        ("0015551234567 is none", "00155…67 is none"),
        ("took 12345678 bytes in 3.25 s", "took 12345678 bytes in 3.25 s"),
        ("request_id=9836cdda-c46c-42c1-92b1-123456789012", "request_id=9836cdda-c46c-42c1-92b1-123456789012"),
        ("at 2026-11-30 13:35:49.123456789", "at 2026-11-30 13:35:49.123456789"),
        ("bulk-c54544110bf5fe08b5be, batch 20000123", "bulk-c54544110bf5fe08b5be, batch 20000123"),
    ],
)
def test_a_line_keeps_what_says_nothing_of_a_person(line: str, expected: str) -> None:
    assert redacted(line) == expected


def test_a_traceback_is_redacted_too() -> None:
    try:
        raise ValueError(f"no such number: +{NUMBER}")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    text = RedactingFormatter("%(message)s").format(record)
    assert "ValueError: no such number: +491…78" in text
    assert NUMBER not in text


def test_the_web_servers_own_log_holds_no_secret_of_an_address() -> None:
    from gunicorn.config import Config

    from smsapp.runtime import gunicorn
    from smsapp.runtime.web_log import Logger

    config = Config()
    config.set("accesslog", "-")
    config.set("access_log_format", gunicorn.access_log_format)
    log = Logger(config)
    stream = io.StringIO()
    log.access_log.handlers = [logging.StreamHandler(stream)]
    path = f"/callbacks/infobip/{TOKEN}"
    environ = {
        "REQUEST_METHOD": "POST",
        "RAW_URI": f"{path}?to={NUMBER}",
        "PATH_INFO": path,
        "QUERY_STRING": f"to={NUMBER}",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "10.0.0.1",
        "HTTP_REFERER": f"https://x/?to={NUMBER}",
    }
    answer = SimpleNamespace(status="200 OK", sent=5, headers=[("X-Request-Id", "abc")])
    log.access(answer, SimpleNamespace(headers=[]), environ, timedelta(milliseconds=12))
    assert stream.getvalue() == '10.0.0.1 "POST /callbacks/infobip/[secret] HTTP/1.1" 200 5 12 ms abc\n'


SENTRY = """
import json, sys
import django
django.setup()
import sentry_sdk
from sentry_sdk.transport import Transport
from django.test import Client
from smsapp.monitoring import sentry
from smsapp.monitoring.health import LiveView
number, text, token = json.load(sys.stdin)
told = []
class Kept(Transport):
    def capture_envelope(self, envelope):
        told.extend(item.payload.json for item in envelope.items if item.payload.json)
sentry.begin("https://key@sentry.example.com/1", transport=Kept, traces_sample_rate=1.0)
def fail(self, request, *args, **kwargs):
    secret_text = text
    sentry_sdk.add_breadcrumb(message=f"sent to +{number}", data={"url": f"/callbacks/infobip/{token}"})
    raise ValueError(f"cannot send to +{number}")
LiveView.get = LiveView.post = fail
client = Client(raise_request_exception=False)
client.cookies["sessionid"] = token
client.generic("POST", f"/health/live?phone_number=%2B{number}", json.dumps({"message": text, "to": number}),
               content_type="application/json", headers={"X-API-Key": f"sms_live_abcdefghij_{token}"})
with sentry_sdk.start_transaction(op="http", name=f"GET /callbacks/infobip/{token}?to={number}"):
    pass
sentry_sdk.flush()
print(json.dumps(told))
"""


def test_sentry_learns_where_it_happened_and_whom_it_concerned_from_nothing(tmp_path: Path) -> None:
    environment = {"DJANGO_SETTINGS_MODULE": "smsapp.settings.test", "VAR_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SENTRY],
        input=json.dumps([NUMBER, TEXT, TOKEN]),
        env=environment,
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    errors = [event for event in told if "exception" in event]
    assert errors[0]["exception"]["values"][-1]["value"] == "cannot send to +491…78"
    assert len(told) == 2, "the error, and how long the request took"
    for canary in (NUMBER, TEXT, TOKEN, "471199"):
        assert canary not in done.stdout


def log_of(filter_: logging.Filter) -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(filter_)
    log = logging.Logger("flood")
    log.addHandler(handler)
    return log, stream


def test_what_fails_again_and_again_is_told_some_times_then_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(log_damping.time, "monotonic", lambda: now[0])
    log, stream = log_of(Damping())
    for n in range(1000):
        log.warning("the database is away: %s", n)
        log.info("and so on")
    log.warning("something else")
    lines = stream.getvalue().splitlines()
    assert sum("database" in line for line in lines) == log_damping.MOST
    assert lines.count("and so on") == 1000
    assert lines[-1] == "something else"
    now[0] += log_damping.WINDOW
    log.warning("the database is away: %s", "still")
    assert stream.getvalue().splitlines()[-1] == "the database is away: still (and 990 more like it before)"


def test_the_product_damps_its_own_log() -> None:
    handlers: dict[str, Any] = django_settings.LOGGING["handlers"]
    assert all("damping" in handler["filters"] for handler in handlers.values())
