"""The web server's worker: its threads serve requests, not connections.

gunicorn gives each new connection a thread for up to five seconds before it has said anything, and waits for the rest
of a request for ever: a few slow or idle clients hold all threads. Here silent connections are polled, and clients that
send too little in too long a time are cut off. A proxy that buffers requests does the same further out.
"""

import errno
import selectors
import threading
import time
from functools import partial
from typing import Any

from django.conf import settings
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from smsapp.runtime import draining

FIRST_BYTE_WITHIN = 15.0  # seconds from the connection to the first byte
READ_WITHIN = 20.0  # seconds for a request, and one more for each LEAST_RATE bytes of it
LEAST_RATE = 4096  # bytes a second
WRITE_WITHIN = 60.0  # seconds in which a client takes one piece of an answer
AT_ONCE = 100  # connections taken from the queue before others get their turn


class BoundedUnreader(SocketUnreader):  # type: ignore[misc]
    """Reads one request after the other, each in a time that grows with its size.

    Raises ConnectionResetError, which gunicorn takes for a client that has gone.
    """

    def begin(self) -> None:
        self._ends, self._got = time.monotonic() + READ_WITHIN, 0

    def chunk(self, size_hint: int | None = None) -> bytes:
        left = self._ends + self._got / LEAST_RATE - time.monotonic()
        before = self.sock.gettimeout()
        try:
            if left <= 0:
                raise TimeoutError
            self.sock.settimeout(left if before is None else min(left, before))
            data: bytes = super().chunk(size_hint)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "The request came too slowly.") from None
        finally:
            self.sock.settimeout(before)
        self._got += len(data)
        return data


class Connection(TConn):  # type: ignore[misc]
    def init(self) -> None:
        """Start a new request."""
        super().init()
        if not isinstance(self.parser.unreader, BoundedUnreader):
            self.parser.unreader = BoundedUnreader(self.sock)
        self.parser.unreader.begin()
        self.sock.settimeout(WRITE_WITHIN)


class Worker(ThreadWorker):  # type: ignore[misc]
    def handle_exit(self, sig: int, frame: Any) -> None:
        """Report that the server is stopping, and go on serving until load balancers have noticed.

        The arbiter has closed its listener by then; ours is open until we close it.
        """
        if self.alive and settings.DRAIN_SECONDS and not draining.is_on():
            draining.begin()
            timer = threading.Timer(settings.DRAIN_SECONDS, super().handle_exit, (sig, frame))
            timer.daemon = True
            timer.start()
            return
        super().handle_exit(sig, frame)

    def accept(self, listener: Any) -> None:
        """Take new connections, and wait for their first bytes without a thread.

        At the limit the connection silent for longest is closed.
        """
        for _ in range(AT_ONCE):
            try:
                sock, client = listener.accept()
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED, errno.EMFILE, errno.ENFILE):
                    return
                raise
            self.nr_conns += 1
            connection = Connection(self.cfg, sock, client, listener.getsockname())
            connection.timeout = time.monotonic() + FIRST_BYTE_WITHIN
            self.pending_conns.append(connection)
            self.poller.register(sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, connection))
            if self.nr_conns >= self.worker_connections - self.cfg.threads:
                self._make_room()

    def _make_room(self) -> None:
        for idle in (self.keepalived_conns, self.pending_conns):
            if idle:
                connection = idle.popleft()
                self.poller.unregister(connection.sock)
                self.nr_conns -= 1
                connection.close()
                return
