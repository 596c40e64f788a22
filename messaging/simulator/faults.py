"""What the simulator does wrong, how often, and how slow it is: settable at start and while it runs."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

#: Probability of each, 0 to 1, drawn per call unless said otherwise.
FAULTS: dict[str, str] = {
    # before anything is accepted
    "throttle": "429 without Retry-After",
    "throttle_with_retry_after": "429 with Retry-After",
    "refuse_400": "400, the whole call",
    "refuse_401": "401, as for a wrong key",
    "refuse_403": "403, as for a missing right",
    "error_500": "500",
    "unavailable_503": "503 with an HTML body",
    "redirect_307": "307 to another path",
    "reset_before": "connection reset",
    "hang_before": "no answer",
    # instead of accepting
    "refuse_account": "200 with every message refused for lack of credit (status 12)",
    "refuse_message": "200 with this message refused (status 14); drawn per message",
    # after accepting
    "accept_reset": "connection reset",
    "accept_hang": "no answer",
    "accept_500": "500",
    "truncated_json": "200 with half of the JSON, correct HTTP",
    "cut_body": "200, connection closed in mid body",
    "html_200": "200 with an HTML body",
    "slow_drip": "200, a byte at a time",
    "omit_ids": "this message missing from the answer; drawn per message",
    "reorder_answer": "messages in another order than in the call",
    # the log
    "log_outage": "500 from the log",
    # reports
    "report_never": "no report for this message; drawn per message",
    "report_repeat": "a body of reports pushed three times",
    "report_reorder": "reports of a call in another order, stages of one message included",
    "report_singly": "each report of a body in a body of its own",
    "report_early": "reports pushed before the answer to the call",
    "report_conflict": "a second, contrary final report; drawn per message",
    "report_unknown_id": "a report for an id nobody sent, in this body",
}

#: Plain numbers, with their defaults.
SETTINGS: dict[str, float] = {
    "latency_ms": 0.0,  # before every answer to a send
    "report_delay_ms": 200.0,  # from acceptance to the final outcome
    "log_lag": 0.0,  # seconds until an accepted message shows in the log
    "log_limit": 0.0,  # requests a minute to the log, then 429; 0 for no limit; Infobip's is 120
    "refuse_repeated": 1.0,  # 1: a message id used again is refused with status 23; 0: it is accepted again
    "hang_seconds": 60.0,
    "drip_seconds": 0.05,  # between two bytes
    "retry_after": 1.0,  # seconds, as told with a 429
    "rate_limit": 0.0,  # messages a second, and a second's worth at once; a call beyond it gets 429; 0 for no limit
    "rate_limit_retry_after": 0.0,  # seconds, as told with that 429; 0 tells nothing
}


class Faults:
    """One seeded stream of chance for each fault, so that turning one on does not move the others.

    `fired` counts every fault that came about, from the start, whatever is set meanwhile.
    """

    def __init__(self, seed: int, initial: Mapping[str, float]) -> None:
        self._streams = {name: random.Random(f"{seed}:{name}") for name in FAULTS}  # noqa: S311
        self._probabilities: dict[str, float] = {}
        self._settings = dict(SETTINGS)
        self.fired: Counter[str] = Counter()
        self.replace(initial)

    def replace(self, values: Mapping[str, float]) -> None:
        """Faults that are not named are off; settings that are not named stay. Raises ValueError, changing nothing,
        for an unknown name or a value out of range."""
        for name, value in values.items():
            check(name, value)
        self._probabilities = {name: float(value) for name, value in values.items() if name in FAULTS and value}
        self._settings |= {name: float(value) for name, value in values.items() if name in SETTINGS}

    def is_set(self, name: str) -> bool:
        return name in self._probabilities

    def fires(self, name: str) -> bool:
        """A fault that is not set draws nothing."""
        if not self.is_set(name):
            return False
        is_due = self._streams[name].random() < self._probabilities[name]
        self.fired[name] += is_due
        return is_due

    def struck(self, name: str, items: Sequence[T]) -> list[T]:
        """Those of the items that it concerns, drawn for each."""
        return [item for item in items if self.fires(name)] if self.is_set(name) else []

    def spared(self, name: str, items: Sequence[T]) -> Sequence[T]:
        """Those of the items that it does not concern, drawn for each."""
        return [item for item in items if not self.fires(name)] if self.is_set(name) else items

    def first_of(self, names: tuple[str, ...]) -> str | None:
        return next((name for name in names if self.fires(name)), None)

    def shuffle(self, items: list[Any]) -> None:
        self._streams["report_reorder"].shuffle(items)

    def setting(self, name: str) -> float:
        return self._settings[name]

    def values(self) -> dict[str, float]:
        return {name: self._probabilities.get(name, 0.0) for name in FAULTS} | self._settings


def check(name: str, value: object) -> None:
    if name not in FAULTS and name not in SETTINGS:
        raise ValueError(f"unknown fault {name!r}; known are {', '.join([*FAULTS, *SETTINGS])}")
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{name} must be a number, 0 or more")
    if name in FAULTS and value > 1:
        raise ValueError(f"{name} is a probability, 0 to 1")
