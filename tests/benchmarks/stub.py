"""A provider that costs next to nothing: it reads a request, waits, and answers as many bytes as a real one would.

`python -m tests.benchmarks.stub PORT SECONDS`. Each answer has room for ANSWERED messages; nothing is looked at.
"""

import asyncio
import sys

ANSWERED = 1000
ENTRY = (
    b'{"messageId":"0000000000000000","status":{"groupId":1,"groupName":"PENDING","id":26,"name":"PENDING_ACCEPTED"'
    + (b',"description":"Message sent to next instance"},"destination":"4915112345678","details":{"messageCount":1}}')
)
BODY = b'{"bulkId":"stub","messages":[' + b",".join([ENTRY] * ANSWERED) + b"]}"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            is_send = head.startswith(b"POST")
            await reader.readexactly(length_of(head))
            await asyncio.sleep(seconds if is_send else 0)
            body = BODY if is_send else b"{}"
            writer.write(HEAD % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def length_of(head: bytes) -> int:
    """Bytes of the body that follows."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def main(port: int, seconds: float) -> None:
    server = await asyncio.start_server(lambda r, w: serve(r, w, seconds), "127.0.0.1", port, limit=2**20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
