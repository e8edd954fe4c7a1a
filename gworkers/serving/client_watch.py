"""Detection of clients that have left while their request runs, for the requests that ask.

A client that only closes its sending side is still there, and may read the response. TCP does not show the difference
to a client that has closed the connection. Its kernel shows it when it gets a packet: it responds with a reset. So
after the end of the client's stream an interim response is sent, which every HTTP/1.1 client has to accept
(RFC 9110 section 15.2). If a chunked response has begun, the first digit of the next chunk's size is sent, a zero.
Sizes may have leading zeros (RFC 9112 section 7.1). Otherwise TCP keep-alive probes take its place. They get a reset
when the client's kernel has forgotten the connection, on Linux after a minute.
"""
from __future__ import annotations

import select
import socket
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from gworkers.errors import ClientGone
from gworkers.serving.periodic_check import PeriodicCheck
from gworkers.serving.release import release_gone

if TYPE_CHECKING:
    from gworkers.hubs.base import Greenlet
    from gworkers.serving.connection import Connection
    from gworkers.serving.server import Server

#: Seconds between two checks.
INTERVAL = 0.2
#: Seconds between two TCP keep-alive probes.
PROBE_SECONDS = 5

#: The peer has closed its sending side. Only Linux has this event.
_HALF_CLOSED = getattr(select, "POLLRDHUP", 0)
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class ClientWatch(PeriodicCheck):
    """Watches the clients of one server.

    :param server: the server
    :param cancels: whether all requests are watched, and :exc:`gworkers.ClientGone` is raised where a request waits
    """

    def __init__(self, server: Server, *, cancels: bool) -> None:
        super().__init__(server, INTERVAL)
        self.cancels = cancels
        #: the watched connections; true if the client has left
        self._gone: dict[Connection, bool] = {}
        #: the connections that were probed after the end of the client's stream
        self._probed: set[Connection] = set()
        #: the greenlets that wait for a client to leave, and until when
        self._waiting: dict[Connection, tuple[Greenlet, float]] = {}
        #: the number of clients so far that have left while a request was watched
        self.count = 0

    def watch(self, connection: Connection) -> None:
        """Watch the client of *connection* until its request ends."""
        if connection not in self._gone:
            connection.limited = True
            self._gone[connection] = False
            self._start()

    def is_gone(self, connection: Connection) -> bool:
        """Return whether the client of *connection* has left, and watch it from now on."""
        self.watch(connection)
        return self._examine(connection)

    def wait(self, connection: Connection, seconds: float | None) -> bool:
        """Wait in a request greenlet until the client of *connection* has left.

        :param seconds: how long to wait at most; None for no limit
        :returns: whether the client has left
        :raises RuntimeError: if another greenlet waits
        """
        if self.is_gone(connection):
            return True
        if connection in self._waiting:
            raise RuntimeError("another greenlet waits for this client to leave; only one may wait at a time")
        end = inf if seconds is None else monotonic() + seconds
        self._waiting[connection] = self._server.hub.current_greenlet(), end
        try:
            return bool(self._server.hub.park())
        finally:
            self._waiting.pop(connection, None)

    def end(self, connection: Connection) -> None:
        """The request of *connection* is over."""
        self._gone.pop(connection, None)
        self._probed.discard(connection)

    def _has_connections(self) -> bool:
        return bool(self._gone)

    def _due(self, now: float) -> list[Connection]:
        return list(self._gone)

    def _check(self, connection: Connection, now: float) -> None:
        # A request that was resumed before may have ended this one.
        if connection not in self._gone:
            return
        gone = self._examine(connection)
        greenlet, end = self._waiting.get(connection, (None, inf))
        if greenlet is not None and (gone or now >= end):
            greenlet.switch(gone)
        elif gone and self.cancels:
            self._cancel(connection)

    def _cancel(self, connection: Connection) -> None:
        greenlet = self._server.greenlets.greenlet_of(connection)
        if greenlet is not None and not connection.released and not connection.taken_over:
            release_gone(connection)
            greenlet.throw(ClientGone("the client has left"))

    def _examine(self, connection: Connection) -> bool:
        if not self._gone[connection] and self._has_left(connection):
            self._gone[connection] = True
            if not connection.released:
                self.count += 1
        return self._gone[connection]

    def _has_left(self, connection: Connection) -> bool:
        if connection.released or connection.is_closed or (connection.broken and not connection.taken_over):
            return True
        fd = connection.sock.fileno()
        events = self._server.hub.poll(fd, select.POLLIN | _HALF_CLOSED)
        if events & _GONE:
            return True
        if connection in self._probed or not (events & (_HALF_CLOSED or select.POLLIN)):
            return False
        if not _HALF_CLOSED and not _stream_has_ended(fd):
            return False
        self._probed.add(connection)
        return self._probe(connection)

    def _probe(self, connection: Connection) -> bool:
        """Send something that a client which has left responds to with a reset. Return whether sending fails."""
        response = connection.response
        if (response is not None and not response.headers_sent and not connection.taken_over
                and response.req.version >= (1, 1)):
            return not connection.try_to_send(b"HTTP/1.1 100 Continue\r\n\r\n")
        # A greenlet that waits for the client may have sent a part of a chunk.
        if response is not None and response.expects_chunk and not connection.awaited and not connection.taken_over:
            return not connection.try_to_send(b"0")
        if connection.sock.family in (socket.AF_INET, socket.AF_INET6):
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL"):
                if hasattr(socket, name):
                    connection.sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), PROBE_SECONDS)
        return False


def _stream_has_ended(fd: int) -> bool:
    """Return whether the peer has closed its sending side and everything that it has sent was read."""
    import _socket

    sock: Any = _socket.socket(fileno=fd)
    try:
        return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        sock.detach()
