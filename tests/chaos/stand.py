"""The installation under attack: that of the demonstration, with small batches, a slow gateway and short timers."""

from collections.abc import Mapping

import httpx2

from smsapp.celery import app as celery_app
from smsapp.demo.play import Demonstration
from tests.chaos.plan import LATENCY

LEASE = 6.0  # seconds, as are all times here
TIMERS: dict[str, str] = {
    "BATCH_SIZE": "20",
    "CHUNK_SIZE": "200",
    "GATEWAY_CALLS_IN_FLIGHT": "2",
    "GATEWAY_CONNECT_TIMEOUT": "1",
    "GATEWAY_TIMEOUT": "2",
    "LEASE_SECONDS": f"{LEASE:g}",
    "LEASE_MARGIN": "0.5",
    "MAX_LEASES": "100",  # here it is never the batch that kills its worker
    "LOG_LEVEL": "INFO",
    "RETRY_BACKOFF": "0.2",
    "RETRY_BACKOFF_MAX": "2",
    "SIMULATOR_UNKNOWN_GRACE": "1",
    "SIMULATOR_RESEND_UNKNOWN_AFTER": "3",
}
#: Longer than a lease and its sweep: a report that came sooner would clear up what the pipeline has to clear up.
REPORT_DELAY = 2 * LEASE
LOG_LAG = 1.0  # below the time after which absence in the log is proof
CALM: dict[str, float] = {"refuse_repeated": 0, "latency_ms": 1000 * LATENCY, "report_delay_ms": 500, "log_lag": 0}
#: Probabilities in a long campaign.
IN_CALLS: dict[str, float] = {
    "accept_reset": 0.03,
    "accept_hang": 0.02,
    "accept_500": 0.02,
    "error_500": 0.02,
    "unavailable_503": 0.02,
    "throttle": 0.01,
    "throttle_with_retry_after": 0.02,
    "truncated_json": 0.02,
    "omit_ids": 0.001,
}
IN_REPORTS: dict[str, float] = {"report_repeat": 0.1, "report_reorder": 0.2, "report_early": 0.1}
SLOW: dict[str, float] = {
    "report_delay_ms": 1000 * REPORT_DELAY,
    "log_lag": LOG_LAG,
    "hang_seconds": 2.5,  # a little longer than the client waits
    "retry_after": 1,
}


def misbehaviour(messages: int) -> dict[str, float]:
    """What the simulator does wrong: in a short campaign more often, so that it meets some of everything."""
    factor = min(4.0, max(1.0, 2000 / messages))
    return CALM | SLOW | IN_REPORTS | {name: factor * share for name, share in IN_CALLS.items()}


class Stand(Demonstration):
    def start(self) -> None:
        self._start()
        # The harness is a door too: what it does to a campaign wakes the workers of this installation.
        celery_app.conf.broker_url = self._environment()["CELERY_BROKER_URL"]

    def _environment(self) -> dict[str, str]:
        return super()._environment() | TIMERS

    def set_faults(self, values: Mapping[str, float]) -> None:
        httpx2.put(f"{self.simulator_url}/simulator/faults", json=dict(values), trust_env=False).raise_for_status()

    def stop(self) -> None:
        """All but the simulator and the broker, which nobody writes through any more."""
        self.supervisor.stop(*(name for name in self.supervisor.children if name not in ("simulator", "broker")))
