"""What each kind of gateway needs, and how it is made.

A new provider is a file beside this one and three lines here: its kind, its credentials, and how it is made from a
Setup.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from django.conf import settings

from messaging.choices import GatewayKind
from messaging.gateways.base import Gateway, LookUpBy, Policy
from messaging.gateways.http import Defect, Http, Rules
from messaging.gateways.infobip import Infobip
from messaging.gateways.transport import MAX_CONNECTIONS
from messaging.gateways.twilio import Credentials, Twilio

MAX_BATCH = 1000  # messages in one call, where the provider takes many
AT_ONCE = 10  # requests of one call, where the provider takes one recipient each
TWILIO_QUEUE = 11 * 3600.0  # seconds after which Twilio has sent a message and said so, or never will
NO_LOOKUP_CLOSE = 24 * 3600.0  # seconds to wait for a report where nothing can be looked up

#: Credentials of each kind: the required and the optional ones. A custom gateway has any.
CREDENTIALS: dict[GatewayKind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    GatewayKind.INFOBIP: (("api_key",), ()),
    GatewayKind.TWILIO: (("account_sid", "auth_token"), ("key_sid", "key_secret", "messaging_service_sid")),
    GatewayKind.HTTP: ((), ()),
}


@dataclass(frozen=True, slots=True)
class Setup:
    """A gateway as the environment or the console describes it.

    `rate` in messages a second, `validity` in seconds; None: no limit of its own. `resend_unknown_after` as in Policy.
    """

    name: str
    kind: GatewayKind
    base_url: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)
    rate: float | None = None
    max_batch: int | None = None
    validity: int | None = None
    is_enabled: bool = True
    is_preferred: bool = False
    lookup_grace: float | None = None
    log_lag: float | None = None
    lookups_per_minute: float | None = None
    resend_unknown_after: float | None = None


def make(setup: Setup) -> Gateway:
    """Return the gateway. Raises ValueError, in words for an operator, for what cannot work."""
    required, _ = CREDENTIALS[setup.kind]
    if missing := [name for name in required if not setup.secrets.get(name)]:
        raise ValueError(f"credentials are missing: {', '.join(missing)}")
    return _MAKERS[setup.kind](setup)


def rules_of(given: Mapping[str, Any]) -> Rules:
    """Return the rules. Raises Defect for an unknown rule, or a value of another type than the rule's."""
    types = {rule.name: rule for rule in fields(Rules)}
    for name, value in given.items():
        if name not in types:
            raise Defect(name, f"There is no rule {name!r}; there are {', '.join(types)}.")
        expected = _TYPES.get(name, str)
        if expected is not None and not isinstance(value, expected):
            raise Defect(name, f"{name} is of another type than it has to be.")
    if "url" not in given:
        raise Defect("url", "The address is missing.")
    if not all(isinstance(status, int) for name in ("accepted", "not_processed") for status in given.get(name, ())):
        raise Defect("accepted", "HTTP statuses are whole numbers.")
    statuses = given.get("statuses", {})
    if not all(isinstance(meaning, str) for meaning in statuses.values()):
        raise Defect("statuses", "A status has one meaning, a word.")
    lowered = {word.lower(): meaning for word, meaning in statuses.items()}
    return Rules(**dict(given) | {"statuses": lowered})


_TYPES: dict[str, Any] = {
    "headers": dict,
    "statuses": dict,
    "accepted": list,
    "not_processed": list,
    "body": None,
}


def _policy(setup: Setup, close_after: float, look_up_by: LookUpBy, *, fans_out: bool = False) -> Policy:
    """Return the policy. Nothing is resent that the provider cannot be asked about by an id of ours."""
    usual, most = (AT_ONCE, MAX_CONNECTIONS) if fans_out else (MAX_BATCH, MAX_BATCH)
    return Policy(
        max_batch=min(setup.max_batch or usual, most),
        lookup_grace=settings.UNKNOWN_GRACE if setup.lookup_grace is None else setup.lookup_grace,
        resend_unknown_after=setup.resend_unknown_after if look_up_by is LookUpBy.OUR_ID else None,
        close_unknown_after=min(close_after, settings.UNKNOWN_CLOSE_AFTER),
        lookups_per_minute=setup.lookups_per_minute or settings.LOOKUPS_PER_MINUTE,
        look_up_by=look_up_by,
        has_log=look_up_by is LookUpBy.OUR_ID,
        log_lag=settings.LOG_LAG if setup.log_lag is None else setup.log_lag,
        fans_out=fans_out,
    )


def _timeouts() -> dict[str, Any]:
    return {"connect_timeout": settings.GATEWAY_CONNECT_TIMEOUT, "timeout": settings.GATEWAY_TIMEOUT}


def _infobip(setup: Setup) -> Gateway:
    policy = _policy(setup, settings.UNKNOWN_CLOSE_AFTER, LookUpBy.OUR_ID)
    return Infobip(
        name=setup.name, base_url=setup.base_url, api_key=setup.secrets["api_key"], policy=policy, **_timeouts()
    )


def _twilio(setup: Setup) -> Gateway:
    known = {name: value for name, value in setup.secrets.items() if name in Credentials._fields}
    usual: dict[str, Any] = {"base_url": setup.base_url} if setup.base_url else {}
    policy = _policy(setup, TWILIO_QUEUE, LookUpBy.THEIR_ID, fans_out=True)
    return Twilio(Credentials(**known), name=setup.name, policy=policy, **usual, **_timeouts())


def _http(setup: Setup) -> Gateway:
    policy = _policy(setup, NO_LOOKUP_CLOSE, LookUpBy.NOTHING, fans_out=True)
    return Http(rules_of(setup.rules), setup.secrets, name=setup.name, policy=policy, **_timeouts())


_MAKERS: dict[GatewayKind, Callable[[Setup], Gateway]] = {
    GatewayKind.INFOBIP: _infobip,
    GatewayKind.TWILIO: _twilio,
    GatewayKind.HTTP: _http,
}
