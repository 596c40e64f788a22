"""`python -m tests.benchmarks.callers URL KEY CALL COUNT CLIENTS`: programs that call the API, each as fast as it is
answered, on a connection that it keeps. Prints JSON.
"""

import http.client
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.calls import CALLS, ROOT

WARM_UP = 5  # calls of each client before the time begins
TIMEOUT = 30.0  # seconds
_numbers = count(time.time_ns() // 1_000_000)  # later runs go on where no run has been


def call_often(url: str, key: str, name: str, calls: int, clients: int) -> dict[str, Any]:
    """All calls made, warming up included; those timed, the seconds they took together, each in milliseconds."""
    began: list[float] = []
    barrier = Barrier(clients, lambda: began.append(time.perf_counter()))
    each = -(-calls // clients)
    with ThreadPoolExecutor(clients) as pool:
        taken = list(pool.map(lambda _: _client(url, key, name, each, barrier), range(clients)))
    seconds = time.perf_counter() - began[0]
    times = [one for of_client in taken for one in of_client]
    return {"made": len(times) + clients * WARM_UP, "seconds": seconds, "milliseconds": sorted(times)}


def _client(url: str, key: str, name: str, calls: int, barrier: Barrier) -> list[float]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT)
    try:
        for _ in range(WARM_UP):
            _call(connection, key, name)
        barrier.wait(TIMEOUT)
        return [_call(connection, key, name) for _ in range(calls)]
    finally:
        connection.close()


def _call(connection: http.client.HTTPConnection, key: str, name: str) -> float:
    call = CALLS[name](next(_numbers))
    headers = {"X-API-Key": key, **call.headers}
    body = None
    if call.body is not None:
        body, headers["Content-Type"] = json.dumps(call.body), "application/json"
    began = time.perf_counter()
    connection.request(call.method, ROOT + call.path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    took = 1000 * (time.perf_counter() - began)
    if answer.status >= 300:
        sys.exit(f"{name} was answered {answer.status}: {content[:300]!r}")
    return took


if __name__ == "__main__":
    address, api_key, kind, *sizes = sys.argv[1:]
    print(json.dumps(call_often(address, api_key, kind, *map(int, sizes))))
