"""The life of one connection.

::

    accept --> HANDSHAKE (TLS only) --> IDLE: no greenlet, one watcher, one deadline
                                         |  ^
                  a head is complete     v  |   answered, and kept alive (by way of QUEUED,
                                        BUSY    behind the others, if the next request is here)
                                         |      a request greenlet reads, calls the application, writes
                                         |
                                         v
                 LINGERING (only to save an answer from a reset) --> CLOSED

Everything here runs in the hub and never blocks, but for :meth:`Connection.serve`, in the
request greenlet. While a request runs the watcher stays as it is: only if it fires (pipelined
bytes, or the client has gone) is it stopped, until the connection is idle again.
"""
from __future__ import annotations

import os
import posix
import socket
import ssl
from typing import TYPE_CHECKING, Any

from gworkers.errors import ClientError, Refusal
from gworkers.http1.refusal import error_page
from gworkers.hubs.guard import hub_callback
from gworkers.serving.exchange import serve
from gworkers.serving.taken_socket import OfferedSocket
from gworkers.serving.transport import READ_SIZE, WOULD_BLOCK, Transport
from gworkers.serving.waitable_socket import READY

if TYPE_CHECKING:
    from gworkers.http1.request import Request
    from gworkers.serving.deadlines import Deadline
    from gworkers.serving.listener import Listener
    from gworkers.serving.server import Server

HANDSHAKE, IDLE, QUEUED, BUSY, LINGERING, CLOSED = "handshake", "idle", "queued", "busy", "lingering", "closed"

#: Beside those, what may follow an answer: to linger for as long as a client takes that has nothing more to say.
AWAIT_CLOSE = "parting"

#: Bytes to throw away, at most, from a client that goes on sending to a closed connection.
LINGER_LIMIT = 4 * 1024 * 1024


class Connection(Transport):
    """One accepted connection.

    :param server: what it shares with the others of its worker
    :param listener: where it came from
    :param sock: its socket, which does not block
    :param peer: the address of the other end
    """

    __slots__ = ("__weakref__", "_after", "_deadline", "_lingered", "_proxy", "_seen", "buffer", "descriptor_taken",
                 "listener", "offer", "peer", "phase", "served", "trusted")

    def __init__(self, server: Server, listener: Listener, sock: Any, peer: Any) -> None:
        super().__init__(server, sock)
        self.listener = listener
        self.peer = peer
        self.trusted = server.trusts(peer)
        self.phase = IDLE
        #: bytes received and not yet consumed; a bytearray only while a head arrives in pieces
        self.buffer: bytes | bytearray = b""
        #: requests so far
        self.served = 0
        #: what ``environ["gunicorn.socket"]`` is
        self.offer = OfferedSocket(self)
        #: whether the application has asked for the descriptor of that
        self.descriptor_taken = False
        #: what to do when the answer has been sent
        self._after: str | None = None
        #: what of the buffer the parser has seen and found incomplete
        self._seen = 0
        #: what a proxy said of the client in a PROXY header, which counts for all requests
        self._proxy: Any = None
        self._deadline: Deadline[Connection] | None = None
        self._lingered = 0

    @property
    def peer_name(self) -> str:
        """The peer's address for a log."""
        return str(self.peer[0]) if isinstance(self.peer, tuple) else os.fsdecode(self.peer)

    def __str__(self) -> str:
        return f"connection from {self.peer_name}, {self.phase}"

    # Waiting for a request

    def open(self) -> None:
        """Begin: wait for a handshake or a request."""
        if self.secure:
            self.phase = HANDSHAKE
            self._wait(self.server.unshaken)
        else:
            self._wait(self.server.silent)

    def _wait(self, deadline: Deadline[Connection]) -> None:
        self._deadline = deadline
        deadline.start(self)
        if not self._watching:
            self._watch()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.stop(self)
            self._deadline = None

    @hub_callback
    def _readable(self) -> None:
        try:
            if self.phase is IDLE:
                data = self.sock.recv(READ_SIZE)
                if data:
                    self._proceed(self._appended(data) if self.buffer else data)
                else:
                    self.close()
            elif self._reading is not None:
                self._reading.switch(READY)
            elif self.phase is BUSY or self.phase is QUEUED:
                self._unwatch()
            elif self.phase is HANDSHAKE:
                self._shake_hands()
            elif self.phase is LINGERING:
                self._throw_away()
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
        self.phase = BUSY
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
        if self.phase is QUEUED:
            self.phase = IDLE
            self._proceed(self.buffer)

    def _shake_hands(self) -> None:
        try:
            self.sock.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            # A handshake is smaller than any send buffer: there is nothing to wait for but the peer.
            if self._deadline is self.server.unshaken:
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
        self.phase = IDLE
        self._stop_waiting()
        self._wait(self.server.silent)

    # Serving one

    def serve(self, request: Request) -> None:
        """Serve *request*. Runs in a request greenlet."""
        if self.phase is CLOSED:
            # Between its head and now.
            return
        keep = serve(self, request)
        # The body refers back to the request, and cycles are left to the garbage collector.
        body, request.body = request.body, None
        if self.phase is CLOSED:
            return
        if self.awaited:
            # By a greenlet that the application started: what it is after could be the next request's.
            self._give_up_waiting()
            keep = False
        if keep:
            self._after = IDLE
        elif self.buffer or not body.complete:
            self._after = LINGERING
        elif request.keepalive:
            self._after = AWAIT_CLOSE
        else:
            self._after = CLOSED
        if not self._unsent:
            self._flushed()

    def _lost(self) -> None:
        if self._after is not None:
            self._after = CLOSED
            self._flushed()

    def _flushed(self) -> None:
        after, self._after = self._after, None
        if after is None:
            # The application has not returned yet.
            return
        if after is IDLE:
            self._slice_end = 0.0
            if self.buffer:
                self.phase = QUEUED
                # Not call_soon: gevent may run many rounds of that before it looks at other connections.
                self.server.hub.call_later(0, self._proceed_with_buffer)
                return
            self.phase = IDLE
            self._wait(self.server.idle)
            if self.server.full:
                self.server.resume_accepting()
        elif after is LINGERING:
            self.linger()
        elif after is AWAIT_CLOSE:
            self.linger(self.server.parting)
        else:
            self.close()

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
            self.sock.send(error_page(self.server.response_heads, status, reason, detail))
        except OSError:
            pass
        self.linger()

    def head_late(self) -> None:
        """A request head has not arrived in time (RFC 9110 section 15.5.9)."""
        if self.buffer:
            self.refuse(Refusal(408, "Request Timeout", "the request head did not arrive in time"))
        else:
            self.close()

    def linger(self, deadline: Deadline[Connection] | None = None) -> None:
        """Close without a reset, which could overtake the answer: first read what is on its way (RFC 9112, 9.6)."""
        if self.phase is CLOSED:
            return
        if self.broken or (self.last_request and self.secure):
            # The only socket of a TLS session may be the application's, whose greenlets may still read from it.
            self.close()
            return
        self.phase = LINGERING
        self.buffer = b""
        self._stop_waiting()
        try:
            self._close_tls()
            self.sock.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            self.close()
        else:
            self._wait(self.server.linger if deadline is None else deadline)

    def _throw_away(self) -> None:
        data = self.sock.recv(READ_SIZE)
        self._lingered += len(data)
        if not data or self._lingered > LINGER_LIMIT:
            self.close()

    def _close_tls(self) -> None:
        if self.secure and self.phase is not HANDSHAKE:
            try:
                # It may have been the application's, and nobody is to wait here.
                self.sock.setblocking(False)
                self.sock.unwrap()
            except (OSError, ValueError):
                # Sent is all that counts: whether the peer answers is its own affair (RFC 8446 section 6.1).
                pass

    def begin_drain(self) -> None:
        """The worker stops: let the connection end soon, but not before a last request, if one comes.

        To close it would hurt a client that has just connected, or is about to send on a connection that it had.
        """
        if self.phase is IDLE and not self.buffer:
            self._readable()
        if self.phase is HANDSHAKE or (self.phase is IDLE and not self.buffer):
            self._stop_waiting()
            self._wait(self.server.idle)

    def close_if_idle(self) -> None:
        """The time for a last request is over; one that has just come is served."""
        if self.phase is IDLE:
            self._readable()
        if self.phase is HANDSHAKE or (self.phase is IDLE and not self.buffer):
            self.close()

    def abort(self) -> bool:
        """End the connection whatever it is doing; return whether a request runs, to which its client has gone."""
        if self.phase is not BUSY:
            self.close()
            return False
        try:
            self.shut_down()
        except (OSError, ValueError):
            pass
        return True

    def close_unless_flushing(self) -> None:
        """Close at once, unless a complete answer is still on its way out."""
        if not self._unsent:
            self.close()

    def release_after_fork(self) -> None:
        """Let go of the socket in a forked process; the connection goes on in the one that it was forked from."""
        self._unwatch()
        self.phase = CLOSED
        # gevent's os.close may put it off.
        posix.close(self.sock.detach())

    @property
    def needs_wake_up(self) -> bool:
        """Whether nothing is sure to happen to this connection unless the hub's next turns bring it forward."""
        if self.phase is BUSY:
            # A request that runs is the application's; one that is over leaves an answer to send, or another phase.
            return self._after is not None and not self._flushing
        return self.phase is QUEUED or not (self._watching and self._watcher.active and self._deadline is not None)

    def recover(self) -> None:
        """Close after an exception: what state the connection is in is not known."""
        self.close()

    def close(self) -> None:
        """Close at once. Closing twice does nothing."""
        if self.phase is CLOSED:
            return
        # Nested, because whatever fails in here, the descriptor is closed and the server knows.
        try:
            self._close_tls()
        finally:
            self.phase = CLOSED
            try:
                self._release()
            finally:
                try:
                    self.sock.close()
                finally:
                    self.server.closed(self)

    def _release(self) -> None:
        """Stop all that refers to this connection from elsewhere."""
        self._unwatch()
        self._stop_waiting()
        self._unsent = b""
        self._stop_flushing()
        self._give_up_waiting()
        self.offer.shut_down()
        # It refers back to this, and a cycle would be there until the garbage is collected.
        del self.offer
