"""The life of one connection.

:mod:`gworkers.serving.states` has its states. Everything here runs in the hub and never blocks, except
:meth:`Connection.serve`, which runs in the request greenlet. While a request runs the watcher stays as it
is: only if it fires (pipelined bytes, or the client has gone) is it stopped, until the connection is idle again.
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
    from gworkers.serving.listener import Listener
    from gworkers.serving.server import Server
    from gworkers.serving.states import AfterResponse


class Connection(ClosableTransport):
    """One accepted connection.

    :param server: what it shares with the others of its worker
    :param listener: where it came from
    :param sock: its socket, which does not block
    :param peer: the address of the other end
    """

    __slots__ = ("__weakref__", "_after", "_proxy", "_seen", "listener", "peer", "served", "trusted")

    def __init__(self, server: Server, listener: Listener, sock: Any, peer: Any) -> None:
        super().__init__(server, sock)
        self.listener = listener
        self.peer = peer
        self.trusted = server.trusts(peer)
        #: requests so far
        self.served = 0
        #: what to do when the answer has been sent
        self._after: AfterResponse | None = None
        #: what of the buffer the parser has seen and found incomplete
        self._seen = 0
        #: what a proxy said of the client in a PROXY header, which counts for all requests
        self._proxy: Any = None

    @property
    def peer_name(self) -> str:
        """The peer's address for a log."""
        return str(self.peer[0]) if isinstance(self.peer, tuple) else os.fsdecode(self.peer)

    def __str__(self) -> str:
        return f"connection from {self.peer_name}, {self.state.value}"

    # Waiting for a request

    def open(self) -> None:
        """Begin: wait for a handshake or a request."""
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
                    self._proceed(self._appended(data) if self.buffer else data)
                else:
                    self.close()
            elif self._reading is not None:
                self._reading.switch(SOCKET_READY)
            elif self.state is BUSY or self.state is QUEUED:
                self._unwatch()
            elif self.state is HANDSHAKE:
                self._shake_hands()
            elif self.state is LINGERING:
                self._discard()
        except WOULD_BLOCK:
            return
        except OSError as error:
            self.close()
            self.server.log.debug("Ignored a connection that failed: %s", error)

    def _appended(self, data: bytes) -> bytearray:
        """Return an unfinished head with *data* behind it, at the cost of *data* only."""
        head = self.buffer if isinstance(self.buffer, bytearray) else bytearray(self.buffer)
        head += data
        return head

    def _proceed(self, data: bytes | bytearray) -> None:
        """Serve the request whose head *data* starts with, if it is complete."""
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
        self._stop_waiting()
        self.buffer = data[request.size:]
        if self._seen:
            self._seen = 0
            self.buffer = bytes(self.buffer)
        self.served += 1
        if self._proxy is not None:
            request.proxy_protocol_info = self._proxy
        elif request.proxy_protocol_info:
            self._proxy = request.proxy_protocol_info
        self.state = BUSY
        server.greenlets.run(self, request)

    def _wait_for_more(self, data: bytes | bytearray) -> None:
        self.buffer = data
        self._seen = len(data)
        if self._deadline is not self.server.head:
            # The first bytes after a pause: from now on it is the head's time that counts.
            self._stop_waiting()
            self._wait(self.server.head)

    @hub_callback
    def _proceed_with_buffer(self) -> None:
        """Serve what has arrived already; called once the others had their turn."""
        if self.state is QUEUED:
            self.state = IDLE
            self._proceed(self.buffer)

    def _shake_hands(self) -> None:
        try:
            self.sock.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            # A handshake is smaller than any send buffer: there is nothing to wait for but the peer.
            if self._deadline is self.server.tls_first_byte:
                self._stop_waiting()
                self._wait(self.server.handshake)
            return
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            # The peer has left, as it may: health checks of load balancers connect and close.
            raise
        except (ssl.SSLError, ValueError) as error:
            self.server.invalid_requests.report(self.peer_name, f"TLS handshake failed: {error}")
            self.close()
            return
        self.state = IDLE
        self._stop_waiting()
        self._wait(self.server.first_byte)

    # Serving one

    def serve(self, request: Request) -> None:
        """Serve *request*. Runs in a request greenlet."""
        if self.state is CLOSED:
            # Between its head and now.
            return
        keep = serve(self, request)
        # The body refers back to the request, and cycles are left to the garbage collector.
        body, request.body = request.body, None
        if self.state is CLOSED:
            return
        if self.awaited:
            # By a greenlet that the application started: what it is after could be the next request's.
            self._give_up_waiting()
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

    def _lost(self) -> None:
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
                # Not call_soon: gevent may run many rounds of that before it looks at other connections.
                self.server.hub.call_later(0, self._proceed_with_buffer)
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

    def send_continue(self) -> None:
        """Ask for the request body (RFC 9110 section 15.2.1)."""
        self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    # The end

    def refuse(self, refusal: Refusal) -> None:
        """Answer with an error, log it and close."""
        self.log_client_error(refusal)
        self.answer(refusal.status, refusal.reason, refusal.detail)

    def log_client_error(self, error: ClientError) -> None:
        """Log what the client did wrong."""
        self.server.invalid_requests.report(self.peer_name, error)

    def answer(self, status: int, reason: str, detail: str) -> None:
        """Send an error page, as far as that goes without waiting, and close."""
        try:
            self.sock.send(error_page(self.server.responses.heads, status, reason, detail))
        except OSError:
            pass
        self.linger()

    def head_late(self) -> None:
        """A request head has not arrived in time (RFC 9110 section 15.5.9)."""
        if self.buffer:
            self.refuse(Refusal(408, "Request Timeout", "the request head did not arrive in time"))
        else:
            self.close()

    @property
    def needs_wake_up(self) -> bool:
        """Whether nothing is sure to happen to this connection unless the hub's next turns bring it forward."""
        if self.state is BUSY:
            # A request that runs is the application's; one that is over leaves an answer to send, or another phase.
            return self._after is not None and not self._flushing
        return self.state is QUEUED or not (self._watching and self._watcher.active and self._deadline is not None)
