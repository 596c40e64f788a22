"""Bodies in chunks and compressed, through the web server as it runs in production."""

import contextlib
import gzip
import hashlib
import hmac
import http.client
import json
import os
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smsapp.request_body import MAX_BODY
from tests.support.factories import make_api_key
from tests.support.servers.web import Server, running_server

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "t" * 40
PUSH = f"/callbacks/simulator/{hmac.new(TOKEN.encode(), b'simulator', hashlib.sha256).hexdigest()[:40]}"
REPORTS = json.dumps({"results": [{"messageId": "nobodys", "status": {"groupId": 3}}]}).encode()
NOTHING = b"\0\0\0\xff\xff"  # a block of a deflate that holds no byte
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("INFOBIP_CALLBACK_TOKEN", TOKEN)
    with running_server(tmp_path) as server:
        yield server


def ask(server: Server, path: str, body: Any, **headers: str) -> tuple[int, bytes]:
    """`body`: bytes are sent with their length, an iterator in chunks."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    names = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, body, names, encode_chunked=not isinstance(body, bytes))
    with contextlib.closing(connection):
        answer = connection.getresponse()
        return answer.status, answer.read()


def chunks(body: bytes, size: int = 7) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


@pytest.mark.postgresql
def test_pushes_in_chunks_and_compressed_are_taken(server: Server) -> None:
    packed = gzip.compress(REPORTS)
    assert ask(server, PUSH, chunks(REPORTS), Transfer_Encoding="chunked")[0] == 200
    assert ask(server, PUSH, packed, Content_Encoding="gzip")[0] == 200
    assert ask(server, PUSH, chunks(packed), Transfer_Encoding="chunked", Content_Encoding="gzip")[0] == 200
    assert ask(server, PUSH, zlib.compress(REPORTS), Content_Encoding="deflate")[0] == 200
    with server.connect() as own:
        bodies = [bytes(body) for (body,) in own.execute("SELECT body FROM messaging_reportinbox").fetchall()]
    assert bodies == [REPORTS] * 4


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.postgresql
def test_gzip_in_several_members_and_deflate_without_a_frame_are_taken(server: Server) -> None:
    half = len(REPORTS) // 2
    members = [gzip.compress(part) for part in (REPORTS[:half], b"", REPORTS[half:])]
    packed = {"gzip": b"".join(members), "deflate": raw_deflate(REPORTS)}
    for coding, body in packed.items():
        assert ask(server, PUSH, body, Content_Encoding=coding)[0] == 200
        assert ask(server, PUSH, chunks(body, 1), Transfer_Encoding="chunked", Content_Encoding=coding)[0] == 200
    with server.connect() as own:
        bodies = [bytes(body) for (body,) in own.execute("SELECT body FROM messaging_reportinbox").fetchall()]
    assert bodies == [REPORTS] * 4


@pytest.mark.postgresql
def test_what_cannot_be_taken_is_refused_by_name_and_the_next_is_taken(server: Server) -> None:
    bomb = gzip.compress(b" " * (20 * MAX_BODY))
    assert len(bomb) < MAX_BODY / 10
    packed = gzip.compress(REPORTS + os.urandom(200))
    refusals = [
        ask(server, PUSH, bomb, Content_Encoding="gzip"),
        ask(server, PUSH, chunks(b" " * (MAX_BODY + 1), 65536), Transfer_Encoding="chunked"),
        ask(server, PUSH, gzip.compress(b" " * MAX_BODY) + gzip.compress(b" "), Content_Encoding="gzip"),
        ask(server, PUSH, raw_deflate(b" " * (20 * MAX_BODY)), Content_Encoding="deflate"),
        ask(server, PUSH, NOTHING * (MAX_BODY // 4), Content_Encoding="deflate"),
        ask(server, PUSH, gzip.compress(b"") * (MAX_BODY // 25), Content_Encoding="gzip"),
        ask(server, PUSH, packed[:-50], Content_Encoding="gzip"),
        ask(server, PUSH, packed + packed[:-50], Content_Encoding="gzip"),
        ask(server, PUSH, packed + b"more", Content_Encoding="gzip"),
        ask(server, PUSH, raw_deflate(REPORTS)[:-5], Content_Encoding="deflate"),
        ask(server, PUSH, raw_deflate(REPORTS) + b"more", Content_Encoding="deflate"),
        ask(server, PUSH, REPORTS, Content_Encoding="gzip"),
        ask(server, PUSH, b"", Content_Encoding="gzip"),
        ask(server, PUSH, REPORTS, Content_Encoding="deflate"),
        ask(server, PUSH, REPORTS, Content_Encoding="br"),
    ]
    assert [status for status, _ in refusals] == [413] * 5 + [400] * 9 + [415]
    assert ask(server, PUSH, REPORTS)[0] == 200


@pytest.mark.postgresql
def test_the_api_takes_chunks_and_gzip_and_refuses_in_its_own_words(server: Server) -> None:
    _, secret = make_api_key()
    key = {"X-API-Key": secret}
    send = json.dumps({"phone_numbers": ["+4915112000000"], "message": "Hello"}).encode()
    assert ask(server, "/api/v1/sms/send", chunks(send), Transfer_Encoding="chunked", **key)[0] == 202
    assert ask(server, "/api/v1/sms/send", gzip.compress(send), Content_Encoding="gzip", **key)[0] == 202
    status, body = ask(server, "/api/v1/sms/send", send, Content_Encoding="br", **key)
    assert (status, json.loads(body)["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.postgresql
@pytest.mark.parametrize("chunk", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}no end", b"2;\x01\r\n{}\r\n0\r\n\r\n"])
def test_chunks_that_are_none_are_refused(server: Server, chunk: bytes) -> None:
    head = f"POST /api/v1/sms/send HTTP/1.1\r\nHost: {server.host}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(head.encode() + chunk)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (400, "VALIDATION_ERROR")
