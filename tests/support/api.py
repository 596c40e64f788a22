"""The API as a customer's program calls it, and what its answers must look like."""

from typing import Any

from accounts.choices import Mode
from tests.support.factories import make_api_key


class Caller:
    """A program with an API key of its own account."""

    def __init__(self, client, mode=Mode.LIVE):
        self.client = client
        self.row, self.key = make_api_key(mode=mode)

    def post(self, path, body):
        return self.client.post(
            f"/api/v1/{path}", body, content_type="application/json", headers={"X-API-Key": self.key}
        )

    def get(self, path):
        return self.client.get(f"/api/v1/{path}", headers={"X-API-Key": self.key})


def failure_of(response, status: int, code: str) -> dict:
    """The error of an answer that has the whole shape."""
    body = response.json()
    assert set(body) == {"success", "timestamp", "data", "error", "metadata"}
    assert (body["success"], body["data"]) == (False, None)
    assert set(body["metadata"]) == {"request_id", "duration_ms"}
    assert (response.status_code, body["error"]["code"]) == (status, code)
    assert body["error"]["message"]
    return body["error"]


def resolved(document: Any, part: Any) -> Any:
    """The part itself where another place is named."""
    while "$ref" in part:
        found = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part
