"""The life of one connection, from accept to its last response.

:mod:`gworkers.serving.states` shows its states. Everything here runs in the hub and never blocks, except
:meth:`Connection.serve`, which runs in a request greenlet.

The watcher stays active while a request runs, because it would be expensive to stop and start it for each
request. If the socket becomes readable meanwhile (the client has sent the next request, or has disconnected),
the watcher is stopped until the connection is idle again.
"""
from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any

from gworkers.errors import ClientError, Refusal
from gworkers.http1.refusal import error_page
from gworkers.hubs.guard import hub_callback
from gworkers.serving.closing import ClosableTransport
from gworkers.serving.exchange import serve
from gworkers.serving.states import (
    AWAIT_CLOSE,
    BUSY,
    CLOSE,
    CLOSED,
    HANDSHAKE,
    IDLE,
    KEEP_ALIVE,
    LINGER,
    LINGERING,
    QUEUED,
)
from gworkers.serving.transport import READ_SIZE, WOULD_BLOCK
from gworkers.serving.waitable_socket import SOCKET_READY

if TYPE_CHECKING:
    from gworkers.http1.request import Request
    from gworkers.http1.response import Response
    from gworkers.serving.listener import Listener
    from gworkers.serving.server import Server
    from gworkers.serving.states import AfterResponse

#: Why the first bytes of a proxy with ``uwsgi_pass`` are refused.
UWSGI = "the client sends the uwsgi protocol instead of HTTP. In nginx replace uwsgi_pass by proxy_pass"


class Connection(ClosableTransport):
    """One accepted connection.

    :param server: the server of the worker
    :param listener: the listener that accepted it
    :param sock: its non-blocking socket
    :param peer: the address of the peer
    """

    __slots__ = ("__weakref__", "_after", "_proxy", "_seen", "limited", "listener", "peer",
                 "released", "response", "served", "trusted", "waited")

    def __init__(self, server: Server, listener: Listener, sock: Any, peer: Any) -> None:
        super().__init__(server, sock)
        self.listener = listener
        self.peer = peer
        #: whether the peer is a proxy in ``forwarded_allow_ips``
        self.trusted = server.trusts(peer)
        #: the response to the request that a greenlet serves; None between two requests
        self.response: Response | None = None
        #: whether the request has a time limit, or asks whether its client has left
        self.limited = False
        #: whether the client was released before the request has ended: it got a response, or has left
        self.released = False
        #: seconds that the request has waited; see :func:`gworkers.serving.hub_time.measure`
        self.waited = 0.0
        #: the number of requests so far
        self.served = 0
        #: what to do when the response has been sent; None while there is none to send
        self._after: AfterResponse | None = None
        #: the number of bytes in the buffer that the parser has found to be an incomplete head
        self._seen = 0
        #: the content of a PROXY header, which applies to all requests of the connection
        self._proxy: Any = None

    @property
    def peer_name(self) -> str:
        """The address of the peer, for the log. A client of a Unix socket usually has none."""
        return str(self.peer[0]) if isinstance(self.peer, tuple) else os.fsdecode(self.peer) or "a Unix socket"

    def __str__(self) -> str:
        return f"connection from {self.peer_name}, {self.state.value}"

    # Waiting for a request

    def open(self) -> None:
        """Start to wait for a handshake or a request."""
        if self.secure:
            self.state = HANDSHAKE
            self._wait(self.server.tls_first_byte)
        else:
            self._wait(self.server.first_byte)

    @hub_callback
    def _readable(self) -> None:
        try:
            if self.state is IDLE:
                data = self.sock.recv(READ_SIZE)
                if data:
                    self.server.counters.bytes_in += len(data)
                    self._serve_next(self._appended(data) if self.buffer else data)
                else:
                    self.close()
            elif self._reading is not None:
                self._reading.switch(SOCKET_READY)
            elif self.state is BUSY or self.state is QUEUED:
                self._unwatch()
            elif self.state is HANDSHAKE:
                self._do_handshake()
            elif self.state is LINGERING:
                self._discard()
        except WOULD_BLOCK:
            return
        except OSError as error:
            self.close()
            self.server.log.debug("A connection failed and was closed: %s", error)

    def _appended(self, data: bytes) -> bytearray:
        """Return the incomplete head in the buffer with *data* appended, without copying the head again."""
        head = self.buffer if isinstance(self.buffer, bytearray) else bytearray(self.buffer)
        head += data
        return head

    def _serve_next(self, data: bytes | bytearray) -> None:
        """Serve the request whose head is at the start of *data*, if that is complete."""
        server = self.server
        try:
            request = server.heads.parse(data, self._seen, self.peer, self.trusted, self.served + 1)
        except Refusal as refusal:
            self.buffer = data
            self.refuse(refusal)
            return
        if request is None:
            self._wait_for_more(data)
            return
        self._stop_deadline()
        self.buffer = data[request.size:]
        if self._seen:
            self._seen = 0
            self.buffer = bytes(self.buffer)
        self.served += 1
        if server.limits.max_active <= server.greenlets.count:
            server.limits.refuse(self)
            return
        if self._proxy is not None:
            request.proxy_protocol_info = self._proxy
        elif request.proxy_protocol_info:
            self._proxy = request.proxy_protocol_info
        self.state = BUSY
        server.greenlets.run(self, request)

    def _wait_for_more(self, data: bytes | bytearray) -> None:
        self.buffer = data
        if data[:1] == b"\0":
            # No request begins with this byte, and a packet of the uwsgi protocol has no end of a head.
            self.refuse(Refusal(400, "Bad Request", UWSGI))
            return
        self._seen = len(data)
        if self._deadline is not self.server.head:
            # The head has begun: from now on it must be complete within head_timeout.
            self._stop_deadline()
            self._wait(self.server.head)

    @hub_callback
    def _serve_queued(self) -> None:
        """Serve a request that arrived with an earlier one, after other connections had their turn."""
        if self.state is QUEUED:
            self.state = IDLE
            self._serve_next(self.buffer)

    def _do_handshake(self) -> None:
        try:
            self.sock.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            # A handshake fits into any send buffer, so the only thing to wait for is the peer.
            if self._deadline is self.server.tls_first_byte:
                self._stop_deadline()
                self._wait(self.server.handshake)
            return
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            # Not an error of the peer: health checks of load balancers connect and close.
            raise
        except (ssl.SSLError, ValueError) as error:
            self.server.invalid_requests.report(self.peer_name, f"TLS handshake failed: {error}")
            self.close()
            return
        self.state = IDLE
        self._stop_deadline()
        self._wait(self.server.first_byte)

    # Serving a request

    def serve(self, request: Request) -> None:
        """Serve *request*. Runs in a request greenlet."""
        if self.state is CLOSED:
            # It was closed while the request waited for a greenlet.
            return
        keep = serve(self, request)
        # The body refers back to the request, and the garbage collector frees such a cycle late.
        body, request.body = request.body, None
        if self.state is CLOSED or self.released:
            return
        if self.awaited:
            # A greenlet that the application started still waits. It could read bytes of the next request.
            self._cancel_waits()
            keep = False
        if keep:
            self._after = KEEP_ALIVE
        elif self.buffer or not body.complete:
            self._after = LINGER
        elif request.keepalive:
            self._after = AWAIT_CLOSE
        else:
            self._after = CLOSE
        if not self._unsent:
            self._flushed()

    def _flush_failed(self) -> None:
        if self._after is not None:
            self._after = CLOSE
            self._flushed()

    def _flushed(self) -> None:
        after, self._after = self._after, None
        if after is None:
            # The application has not returned yet.
            return
        if after is KEEP_ALIVE:
            self._slice_end = 0.0
            if self.buffer:
                self.state = QUEUED
                # Not call_soon: gevent may call many such callbacks before it polls other connections.
                self.server.hub.call_later(0, self._serve_queued)
                return
            self.state = IDLE
            self._wait(self.server.idle)
            if self.server.full:
                self.server.resume_accepting()
        elif after is LINGER:
            self.linger()
        elif after is AWAIT_CLOSE:
            self.linger(self.server.await_close)
        else:
            self.close()

    def _closed(self) -> None:
        self.server.closed(self)

    def send_continue(self, fields: bytes) -> None:
        """Send a 100 response, which asks the client for the request body (RFC 9110 section 15.2.1)."""
        self.send(b"HTTP/1.1 100 Continue\r\n%s\r\n" % fields)

    # Errors

    def refuse(self, refusal: Refusal) -> None:
        """Log the refusal of a request, send an error page and close."""
        self.server.counters.statuses[refusal.status] += 1
        self.log_client_error(refusal)
        self.send_error(refusal.status, refusal.reason, refusal.detail)

    def log_client_error(self, error: ClientError) -> None:
        """Log an error of the client."""
        self.server.invalid_requests.report(self.peer_name, error)

    def send_error(self, status: int, reason: str, detail: str, fields: str = "") -> None:
        """Send as much of an error page as is possible without waiting, and close.

        :param fields: lines of header fields to add
        """
        try:
            self.server.counters.bytes_out += self.sock.send(
                error_page(self.server.responses.heads, status, reason, detail, fields))
        except OSError:
            pass
        self.linger()

    def head_late(self) -> None:
        """Refuse a request head that has not arrived in time (RFC 9110 section 15.5.9)."""
        if self.buffer:
            self.refuse(Refusal(408, "Request Timeout", "the request head did not arrive in time"))
        else:
            self.close()

    @property
    def needs_wake_up(self) -> bool:
        """Whether this connection makes no progress unless the hub calls it in one of its next turns.

        Other connections wait for the peer, a deadline, or the application.
        """
        if self.state is BUSY:
            # While the request runs, progress depends on the application. After that, a response must be in flight.
            return self._after is not None and not self._flushing
        return self.state is QUEUED or not (self._watching and self._watcher.active and self._deadline is not None)
