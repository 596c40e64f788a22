"""`python -m tests.benchmarks.api_account`, on an empty database: an account that may call the API, and how many
statements each call sends to the database, savepoints among them. Prints JSON.
"""

import json
import sys
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from smsapp.demo.account import ensure_demo_account  # noqa: E402
from tests.benchmarks.calls import CALLS, ROOT, Call  # noqa: E402


def main() -> dict[str, Any]:
    call_command("migrate", interactive=False, verbosity=0)
    key = ensure_demo_account().api_key
    client = Client(SERVER_NAME="127.0.0.1")
    statements = {}
    for number, (name, make) in enumerate(CALLS.items()):
        ask(client, key, make(2 * number))  # what only the first call asks for is not counted
        with CaptureQueriesContext(connection) as queries:
            ask(client, key, make(2 * number + 1))
        statements[name] = len(queries)
    return {"api_key": key, "statements": statements}


def ask(client: Client, key: str, call: Call) -> None:
    body = {"data": json.dumps(call.body), "content_type": "application/json"} if call.body is not None else {}
    headers = {"X-API-Key": key, **call.headers}
    answer = getattr(client, call.method.lower())(ROOT + call.path, headers=headers, **body)
    if answer.status_code >= 300:
        sys.exit(f"{call.path} was answered {answer.status_code}: {answer.content[:300]!r}")


if __name__ == "__main__":
    print(json.dumps(main()))
