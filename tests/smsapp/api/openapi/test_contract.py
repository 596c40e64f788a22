"""The running API does what its OpenAPI document says: schemathesis calls every operation, with what the document
allows, with what it forbids, and in chains of calls.

SCHEMATHESIS_EXAMPLES sets how many calls it makes up for each operation and phase (`make fuzz`: 200); with it, the
borders of what is only read are tried too.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.conf import settings

from tests.support.factories import make_api_key, make_upload, phones
from tests.support.servers.web import running_server

pytestmark = pytest.mark.platform

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", 1))
CONFIG = Path(__file__).with_name("schemathesis.toml")
#: At the same time, each with an account of its own.
PARTS = {
    "borders of what is changed": ("--phases", "coverage", "--exclude-method", "GET"),
    "chance and chains": ("--phases", "examples,fuzzing,stateful"),
}


if "SCHEMATHESIS_EXAMPLES" in os.environ:
    PARTS["borders of what is read"] = ("--phases", "coverage", "--include-method", "GET")


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_the_api_does_what_its_document_says(tmp_path: Path) -> None:
    callers = [make_api_key() for _ in PARTS]
    uploads = [make_upload(row.account, [(phone,) for phone in phones(2)], ["phone"]).upload_id for row, _ in callers]
    with running_server(tmp_path) as server, ThreadPoolExecutor(len(PARTS)) as pool:
        url = f"http://{server.host}:{server.port}"
        done = [
            pool.submit(_schemathesis, url, key, _made(url, key) | {"upload_id": upload}, tmp_path, options)
            for (_, key), upload, options in zip(callers, uploads, PARTS.values(), strict=True)
        ]
        failed = [(part, one.result()) for part, one in zip(PARTS, done, strict=True) if one.result().returncode]
        assert not failed, "\n".join(f"{part}: {result.stdout}{result.stderr}" for part, result in failed)
        for _, key in callers:  # else all that was seen were refusals
            assert _call(url, key, "GET", "account/balance").status_code == 200


def _made(url: str, key: str) -> dict[str, str]:
    """One of everything that has an id in its address, by the name of the id."""
    number = phones(1)[0]
    send = _call(url, key, "POST", "sms/send", {"phone_numbers": [number], "message": "Hello"}).json()["data"]
    campaign = _call(url, key, "POST", "campaigns", {"phone_numbers": [number], "message": "Hello"}).json()["data"]
    template = _call(url, key, "POST", "templates", {"name": "Greeting", "message": "Hello"}).json()["data"]
    contacts = _call(url, key, "POST", "contact-lists", {"name": "Friends"}).json()["data"]
    contact = _call(url, key, "POST", f"contact-lists/{contacts['list_id']}/contacts", {"phone_number": number})
    endpoint = _call(url, key, "POST", "webhooks", {"url": "https://192.0.2.1/"})
    other = _call(url, key, "POST", "api-keys", {"name": "Other", "mode": "test"}).json()["data"]
    sender = _call(url, key, "POST", "senders", {"sender_id": "YourBrand"}).json()["data"]
    assert (contact.status_code, endpoint.status_code) == (201, 422)
    monthly = {"message": "Hello", "list_id": contacts["list_id"], "every": "month", "at": "09:00"}
    recurring = _call(url, key, "POST", "recurring-campaigns", monthly).json()["data"]
    return {
        "recurring_id": recurring["recurring_id"],
        "bulk_id": campaign["bulk_id"],
        "message_id": send["messages"][0]["message_id"],
        "template_id": template["template_id"],
        "list_id": contacts["list_id"],
        "phone_number": number,
        "key_id": other["key_id"],
        "sender_id": sender["sender_id"],
    }


def _call(url: str, key: str, method: str, path: str, body: Any = None) -> httpx2.Response:
    headers = {"X-API-Key": key}
    return httpx2.request(method, f"{url}/api/v1/{path}", json=body, headers=headers, timeout=30, trust_env=False)


def _schemathesis(
    url: str, key: str, made: dict[str, str], folder: Path, options: tuple[str, ...]
) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("schemathesis")
    command = [
        *(str(program), "--config-file", str(CONFIG), "run", f"{url}/api/v1/schema?format=json", "--url", url),
        *("--checks", "all", "--max-examples", str(EXAMPLES), "--header", f"X-API-Key: {key}", "--no-color", *options),
    ]
    env = os.environ | {"PYTHONPATH": str(settings.BASE_DIR), "CONTRACT_MADE": json.dumps(made)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
