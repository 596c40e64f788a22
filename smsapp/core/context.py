"""The call that is being answered: its id, and where it comes from."""

import contextlib
import ipaddress
import logging
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest

IPV6_PREFIX = 64  # bits; the smallest network that providers give to one customer


@dataclass(slots=True)
class Call:
    """The request being answered; outside of one everything is empty. Authentication fills in the key."""

    request_id: str = ""
    ip_address: str = ""
    api_key_prefix: str = ""

    @property
    def network(self) -> str:
        """Return what limits count by: the address; of IPv6 its /64, in which anybody has any number of them."""
        return network_of(self.ip_address)


_CALL: ContextVar[Call] = ContextVar("call")


def current_call() -> Call:
    return _CALL.get(None) or Call()


@contextlib.contextmanager
def answering(call: Call) -> Iterator[None]:
    """Make a call the current one."""
    token = _CALL.set(call)
    try:
        yield
    finally:
        _CALL.reset(token)


def acting_for(request_id: str) -> contextlib.AbstractContextManager[None]:
    """Make the log lines and audit events of work that outlives its call carry that call's id."""
    return answering(Call(request_id))


def current_request_id() -> str:
    """Return the id of the request being answered; made when asked for outside of one."""
    return current_call().request_id or str(uuid.uuid4())


def client_address(request: HttpRequest) -> str:
    """Return the caller's IP address: the connection's, or what the outermost trusted proxy saw.

    There are TRUSTED_PROXY_COUNT of these. Anything else in `X-Forwarded-For` was written by the caller. Empty on a
    local socket.
    """
    count: int = settings.TRUSTED_PROXY_COUNT
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if count else []
    forwarded = _address(hops[-count]) if len(hops) >= max(count, 1) else ""
    return forwarded or _address(request.META.get("REMOTE_ADDR", ""))


def client_network(request: HttpRequest) -> str:
    """Like `client_address`; for IPv6 the first address of its /64."""
    return network_of(client_address(request))


def network_of(address: str) -> str:
    """Return an IPv4 address as it is, or the first address of an IPv6 address's /64; empty for anything else."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network((address, IPV6_PREFIX), strict=False).network_address)


def _address(text: str) -> str:
    """Return an address in its one spelling; empty for anything else."""
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        request_id = current_call().request_id
        record.request_id = f" request_id={request_id}" if request_id else ""
        return True
