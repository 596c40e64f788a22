"""The guard of addresses: what leads into a network, however it is written, gets no packet."""

import itertools
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from accounts.webhooks import destinations, transport
from smsapp.core.exceptions import CallbackUrlNotAllowed
from tests.support.servers.receivers import answers, running_receiver

REFUSED = (
    # schemes, ports, users, shapes
    "", "https://", "https:///x", "//example.com/", "example.com", "ftp://example.com/", "http://example.com/",
    "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)", "https://example.com:80/",
    "https://example.com:22/", "https://example.com:6379/", "https://example.com:99999/", "https://example.com:x/",
    "https://user@example.com/", "https://user:pw@example.com/", "https://@example.com/", "https://1.1.1.1@127.0.0.1/",
    "https://example.com\\@127.0.0.1/", "https://exa mple.com/", "https://example.com/\r\nX-Header: 1",
    "https://example.com/\x00", "https://exam_ple..com/", "https://-.\udcff.com/", f"https://{'a' * 64}.com/",
    f"https://example.com/{'a' * 500}",
    # this machine, by all its names
    "https://127.0.0.1/", "https://127.1/", "https://127.0.1/", "https://2130706433/", "https://0x7f000001/",
    "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.1./", "https://0/",
    "https://0.0.0.0/", "https://localhost/", "https://localhost./", "https://LOCALHOST/", "https://127.255.255.254/",
    "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://[::1]/", "https://[::]/", "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[::1%25lo]/",
    # private, shared, link-local, metadata
    "https://10.0.0.1/", "https://10.255.255.255:8443/", "https://172.16.0.1/", "https://172.31.255.255/",
    "https://192.168.0.1/", "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/",
    "https://100.100.100.200/", "https://192.0.0.1/", "https://192.0.0.192/", "https://192.0.2.1/",
    "https://198.18.0.1/", "https://198.51.100.1/", "https://203.0.113.1/", "https://168.63.129.16/",
    "https://192.88.99.1/", "https://224.0.0.1/", "https://239.1.1.1/", "https://240.0.0.1/",
    "https://255.255.255.255/", "https://[fe80::1]/", "https://[fc00::1]/", "https://[fd00:ec2::254]/",
    "https://[ff02::1]/", "https://[fec0::1]/", "https://[2001:db8::1]/", "https://[100::1]/", "https://[5f00::1]/",
    # ways into IPv4
    "https://[64:ff9b::7f00:1]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[64:ff9b:1::a00:1]/",
    "https://[2002:7f00:1::]/", "https://[2002:a9fe:a9fe::1]/", "https://[2001::1]/", "https://[::ffff:10.0.0.1]/",
    "https://[::ffff:169.254.169.254]/", "https://[::ffff:0:127.0.0.1]/", "https://[::a9fe:a9fe]/",
)  # fmt: skip
PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What names resolve to: a list, or an iterator of lists, one for each question."""
    table: dict[str, Any] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in table:
            return real(host, port, *args, **kwargs)
        found = table[host]
        found = found if isinstance(found, list) else next(found)
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return table


@pytest.fixture
def contacts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address that a connection is tried to; none is made."""
    tried: list[Any] = []
    lock = threading.Lock()

    def connect(self: socket.socket, address: Any) -> None:
        with lock:
            tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


def test_the_table_is_as_long_as_promised() -> None:
    assert len(set(REFUSED)) >= 80


@pytest.mark.parametrize("url", REFUSED, ids=ascii)
def test_what_leads_inside_is_refused_and_gets_no_packet(url: str, contacts: list[Any]) -> None:
    with pytest.raises(CallbackUrlNotAllowed) as refused:
        destinations.check_url(url, "callback_url")
    assert refused.value.message == destinations.refusal().message
    assert refused.value.details["field"] == "callback_url"
    answer = transport.post(url, {}, b"{}")
    assert (answer.status, answer.error) == (None, transport.UNREACHABLE)
    assert contacts == []


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hook",
        "https://shop.example:8443/?a=b",
        "https://SHOP.example./",
        "https://bücher.example/",
    ],
)
def test_what_leads_outside_is_allowed(url: str, names: dict[str, Any]) -> None:
    names |= {name: list(PUBLIC) for name in ("shop.example", "xn--bcher-kva.example")}
    destinations.check_url(url)


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.0.0.1", "::1", "fe80::1", "169.254.169.254", "::ffff:10.0.0.1"])
def test_one_bad_address_among_good_ones_is_enough(inside: str, names: dict[str, Any], contacts: list[Any]) -> None:
    for place in range(3):
        addresses = [*PUBLIC]
        addresses.insert(place, inside)
        names["mixed.example"] = addresses
        with pytest.raises(CallbackUrlNotAllowed):
            destinations.check_url("https://mixed.example/")
        transport.post("https://mixed.example/", {}, b"{}")
    assert contacts == []


def test_a_name_that_changes_between_look_ups_gains_nothing(names: dict[str, Any], contacts: list[Any]) -> None:
    """The address that was checked is the one connected to: there is no second look-up."""
    names["rebinding.example"] = itertools.cycle([[PUBLIC[0]], ["127.0.0.1"]])
    for _ in range(1000):
        transport.post("https://rebinding.example/", {}, b"{}")
    assert set(contacts) == {(PUBLIC[0], 443)}
    assert len(contacts) == 500


def test_a_name_that_does_not_resolve_in_time_is_refused(
    names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def silent() -> Iterator[list[str]]:
        asked.set()
        answered.wait(5)
        yield [PUBLIC[0]]

    names["slow.example"] = silent()
    with pytest.raises(CallbackUrlNotAllowed):
        destinations.resolve(destinations.target_of("https://slow.example/"), 0.05)
    assert asked.is_set()
    answered.set()


def test_refused_closed_and_unknown_read_the_same(names: dict[str, Any], contacts: list[Any]) -> None:
    names |= {"closed.example": [PUBLIC[0]], "inside.example": ["10.0.0.1"]}
    urls = ("https://closed.example/", "https://inside.example/", "https://unknown.invalid/", "http://closed.example/")
    answers_given = [transport.post(url, {}, b"{}") for url in urls]
    assert {(answer.status, answer.error, answer.response) for answer in answers_given} == {
        (None, transport.UNREACHABLE, "")
    }


def test_a_redirect_is_not_followed(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    with running_receiver() as receiver, running_receiver() as sentinel:
        for status in (301, 302, 303, 307, 308):
            receiver.acts["/"] = answers(status, Location=sentinel.url())
            assert transport.post(receiver.url(), {}, b"{}").status == status
        assert sentinel.received == []


def test_proxies_of_the_environment_are_not_used(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    with running_receiver() as receiver, running_receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert transport.post(receiver.url(), {}, b"{}").is_success
        assert proxy.received == []


def test_only_this_machine_is_opened_for_tests(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    destinations.check_url("http://127.0.0.1:8000/")
    for url in ("http://10.0.0.1/", "http://169.254.169.254/", "http://[fe80::1]/", "ftp://127.0.0.1/"):
        with pytest.raises(CallbackUrlNotAllowed):
            destinations.check_url(url)
