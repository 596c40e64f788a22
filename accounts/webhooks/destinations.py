"""Which addresses events can be sent to: public ones only, or strangers could make us call our own network.

An address is checked when it is saved and again at each connection, which goes to the very address that was checked: a
name that resolves differently a moment later gains nothing. Every refusal reads the same, so that nobody can explore a
network by our answers.
"""

import queue
import socket
import threading
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from smsapp.core.exceptions import CallbackUrlNotAllowed
from smsapp.core.process_cache import remember

PORTS = (443, 8443)
MAX_LENGTH = 500
LOOKUP_TIMEOUT = 3.0  # seconds
REMEMBERED_FOR = 60.0  # seconds
MAX_REMEMBERED = 10_000

#: Refused beside whatever `is_global` refuses: ways into IPv4, metadata of clouds, and what only looks public.
_REFUSED: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; metadata of one cloud
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "168.63.129.16/32",  # a cloud's host, with a public number
        "::/96",
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
        "2002::/16",  # 6to4
        "2001::/32",  # Teredo
        "5f00::/16",
        "fec0::/10",
    )
)

Address = IPv4Address | IPv6Address


class Target(NamedTuple):
    """Where a URL leads. `host`: as it is resolved (IDNA, lower case)."""

    scheme: str
    host: str
    port: int


def check_url(url: str, field: str = "url") -> None:
    """Look the URL's name up and check each of its addresses. Raises CallbackUrlNotAllowed naming `field`.

    A name that passed is not looked up again for a minute, so that it can be checked ahead of the transaction and once
    more within. Connections never rely on what is remembered.
    """
    try:
        _resolve_once(target_of(url))
    except CallbackUrlNotAllowed as error:
        raise refusal(field, url) from error


@remember(MAX_REMEMBERED, REMEMBERED_FOR)
def _resolve_once(target: Target) -> None:
    resolve(target)


def target_of(url: str) -> Target:
    """Return what a URL names, without asking the network. Raises CallbackUrlNotAllowed."""
    if not isinstance(url, str) or len(url) > MAX_LENGTH or any(ord(c) <= 0x20 or ord(c) == 0x7F for c in url):
        raise refusal()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise refusal() from error
    local = settings.WEBHOOK_ALLOW_LOCAL
    if parts.scheme not in (("https", "http") if local else ("https",)) or "\\" in url or "@" in parts.netloc:
        raise refusal()
    port = port if port is not None else (443 if parts.scheme == "https" else 80)
    if port not in PORTS and not local:
        raise refusal()
    return Target(parts.scheme, _host_of(parts), port)


def resolve(target: Target, timeout: float = LOOKUP_TIMEOUT) -> list[str]:
    """Return the addresses of a target if all of them are allowed. Raises CallbackUrlNotAllowed."""
    try:
        found = _look_up(target.host, target.port, timeout)
    except (OSError, UnicodeError, ValueError) as error:
        raise refusal() from error
    if not found or not all(is_allowed(address) for address in found):
        raise refusal()
    return [str(address) for address in found]


def is_allowed(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.scope_id:
            return False
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
    if settings.WEBHOOK_ALLOW_LOCAL and address.is_loopback:
        return True
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address.version == network.version and address in network for network in _REFUSED)


def leads_inside(url: str) -> bool:
    """Return whether a URL leads, or may lead, to a server that is not public, whatever scheme and port."""
    try:
        parts = urlsplit(url)
        found = _look_up(parts.hostname or "", parts.port or 443, LOOKUP_TIMEOUT)
    except (OSError, UnicodeError, ValueError):
        return True
    return not found or not all(is_allowed(address) for address in found)


def is_public(address: str) -> bool:
    """Return whether strangers may make us call an IP address; False for anything else."""
    try:
        return is_allowed(ip_address(address))
    except ValueError:
        return False


def refusal(field: str = "url", value: str = "") -> CallbackUrlNotAllowed:
    return CallbackUrlNotAllowed(
        _("Events cannot be sent to this address. It must use https on port 443 or 8443 and lead to a public server."),
        field,
        value,
    )


def _host_of(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    try:
        ip_address(host)
    except ValueError:
        try:
            host = host.encode("idna").decode("ascii").lower()
        except UnicodeError as error:
            raise refusal() from error
        if not _is_name(host):
            raise refusal() from None
    return host


def _is_name(host: str) -> bool:
    """Return whether a DNS name's last part is no number: `2130706433`, `0x7f.1` and `127.1` are addresses."""
    labels = host.split(".")
    last = labels[-1]
    well_formed = all(label and len(label) < 64 and all(c.isalnum() or c in "-_" for c in label) for label in labels)
    is_number = last[:1].isdigit()
    return well_formed and not is_number and (len(labels) > 1 or settings.WEBHOOK_ALLOW_LOCAL)


def _look_up(host: str, port: int, timeout: float) -> list[Address]:
    """Return every address of a name, within `timeout` seconds: the system's own limit is far longer."""
    try:
        return [ip_address(host)]
    except ValueError:
        pass
    answer: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.put(list(dict.fromkeys(ip_address(row[4][0]) for row in rows)))
        except Exception as error:
            answer.put(error)

    threading.Thread(target=ask, name=f"look-up of {host}", daemon=True).start()
    try:
        found = answer.get(timeout=timeout)
    except queue.Empty as error:
        raise TimeoutError("the look-up takes too long") from error
    if isinstance(found, Exception):
        raise OSError(str(found)) from found
    return found
