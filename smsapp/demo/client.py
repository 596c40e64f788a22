"""The REST API as a customer's program uses it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

POLL_INTERVAL = 0.25  # seconds
READING = ("UPLOADED", "PROCESSING")


class DemoFailed(Exception):
    """Something was not as it should be; the text says what."""


class Client:
    """`deadline` (monotonic clock) bounds everything that is waited for."""

    def __init__(self, url: str, api_key: str, deadline: float) -> None:
        self._http = httpx2.Client(
            base_url=f"{url}/api/v1", headers={"X-API-Key": api_key}, timeout=60, trust_env=False
        )
        self._deadline = deadline

    def upload(self, path: Path) -> Iterator[dict[str, Any]]:
        """The state of the upload, again and again until it is ready; raises DemoFailed if it fails."""
        with path.open("rb") as file:
            state = self._post("/files/upload", files={"file": (path.name, file, "text/csv")})
        while state["status"] in READING:
            yield state
            self._pause(f"the upload was {state['status']}")
            state = self._get(f"/uploads/{state['upload_id']}")
        if state["status"] != "READY":
            raise DemoFailed(f"The upload is {state['status']}: {state['failure_reason']}")
        yield state

    def refused_rows(self, upload_id: str) -> Iterator[dict[str, Any]]:
        address: str | None = f"/uploads/{upload_id}/errors?limit=1000"
        while address is not None:
            page = self._get(address)
            yield from page["results"]
            address = page["next"]

    def start_campaign(self, **fields: str) -> dict[str, Any]:
        return self._post("/sms/bulk", json=fields)

    def campaign(self, bulk_id: str) -> Iterator[dict[str, Any]]:
        """The state of the campaign with its counters, again and again until nothing in it moves any more."""
        while True:
            state = self._get(f"/campaigns/{bulk_id}")
            state |= state["messages_by_status"]
            yield state
            if state["status"] in ("CANCELLED", "FAILED", "MISSED"):
                raise DemoFailed(f"The campaign is {state['status']}: {state['status_detail']}")
            if state["status"] == "COMPLETED" and not any(state[name] for name in MOVING):
                return
            self._pause(f"the campaign was {state['status']}")

    def _get(self, path: str) -> dict[str, Any]:
        while True:
            try:
                return self._data(self._http.get(path))
            except httpx2.TransportError as error:  # a server that is being started again
                self._pause(f"the web server did not answer ({error})")

    def _post(self, path: str, **content: Any) -> dict[str, Any]:
        try:
            return self._data(self._http.post(path, **content))
        except httpx2.TransportError as error:
            raise DemoFailed(f"POST {path} was not answered: {error}") from error

    def _data(self, response: httpx2.Response) -> dict[str, Any]:
        request = response.request
        try:
            body = response.json()
        except ValueError as error:
            raise DemoFailed(
                f"{request.method} {request.url.path} answered {response.status_code}, no JSON."
            ) from error
        if response.status_code >= 400 or not body["success"]:
            raise DemoFailed(f"{request.method} {request.url.path} answered {response.status_code}: {body['error']}")
        data: dict[str, Any] = body["data"]
        return data

    def _pause(self, waiting_for: str) -> None:
        if time.monotonic() > self._deadline:
            raise DemoFailed(f"The time-out has passed while {waiting_for}.")
        time.sleep(POLL_INTERVAL)


#: Counters of messages that will still change by themselves.
MOVING = ("waiting", "pending", "sent", "unknown")


def ledger_of(simulator_url: str) -> dict[str, int]:
    """What the simulator itself says it has accepted."""
    figures: dict[str, int] = httpx2.get(f"{simulator_url}/simulator/ledger", timeout=60, trust_env=False).json()
    return figures
