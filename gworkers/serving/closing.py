"""How a connection ends: at once, by a lingering close, in a drain, in a forked process."""
from __future__ import annotations

import _socket
import posix
import socket
import struct
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from gworkers.serving.states import BUSY, CLOSED, HANDSHAKE, IDLE, LINGERING
from gworkers.serving.transport import READ_SIZE, Transport

if TYPE_CHECKING:
    from gworkers.serving.deadlines import Deadline
    from gworkers.serving.server import Server
    from gworkers.serving.states import State

#: Bytes to discard, at most, from a client that goes on sending to a closed connection.
LINGER_LIMIT = 4 * 1024 * 1024

#: The value of SO_LINGER that makes a close send a reset.
NO_LINGER = struct.pack("ii", 1, 0)


class ClosableTransport(Transport):
    """A transport with the state of a connection, a deadline for it, and the ways to close it.

    :param server: the server of the worker
    :param sock: the non-blocking socket of the connection
    """

    __slots__ = ("_deadline", "_lingered", "buffer", "ends_in_drain", "state")

    def __init__(self, server: Server, sock: Any) -> None:
        super().__init__(server, sock)
        self.state: State = IDLE
        #: bytes received and not yet consumed; a bytearray only while a head arrives in pieces
        self.buffer: bytes | bytearray = b""
        #: whether the running request is ended when a drain begins
        self.ends_in_drain = False
        #: the deadline of the present state; None in a state without one
        self._deadline: Deadline[Any] | None = None
        #: bytes discarded while lingering
        self._lingered = 0

    @property
    def is_closed(self) -> bool:
        """Whether the connection is closed."""
        return self.state is CLOSED

    def _wait(self, deadline: Deadline[Any]) -> None:
        """Wait for the client within *deadline*, without a greenlet."""
        self._deadline = deadline
        deadline.start(self)
        if not self._watching:
            self._watch()

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.stop(self)
            self._deadline = None

    def linger(self, deadline: Deadline[Any] | None = None) -> None:
        """End the stream, then discard what the client still sends until it closes its side (RFC 9112 section 9.6).

        Closing at once could cause a reset, which destroys what the client has not read of the response.

        :param deadline: how long the client may take; ``linger_timeout`` if None
        """
        if self.state is CLOSED:
            return
        if self.broken or (self.last_request and self.secure):
            # The application has the only socket of a TLS session, and its greenlets may still read from it.
            self.close()
            return
        self.state = LINGERING
        self.buffer = b""
        self._stop_deadline()
        try:
            self._close_tls()
            self.sock.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            self.close()
        else:
            self._wait(self.server.linger if deadline is None else deadline)

    def _discard(self) -> None:
        """Discard what has arrived while lingering."""
        data = self.sock.recv(READ_SIZE)
        self._lingered += len(data)
        self.server.counters.bytes_in += len(data)
        if not data or self._lingered > LINGER_LIMIT:
            self.close()

    def _close_tls(self) -> None:
        if self.secure and self.state is not HANDSHAKE:
            try:
                # The application may have made it blocking, and the hub must not wait.
                self.sock.setblocking(False)
                self.sock.unwrap()
            except (OSError, ValueError):
                # The alert is sent; whether the peer answers it does not matter (RFC 8446 section 6.1).
                pass

    def begin_drain(self) -> None:
        """The worker stops: give an idle connection ``drain_keepalive`` seconds for a last request.

        Closing it at once could fail a request that is on its way.
        """
        if self.ends_in_drain:
            self.abort()
        if self.state is IDLE and not self.buffer:
            self._readable()
        if self.state is HANDSHAKE or (self.state is IDLE and not self.buffer):
            self._stop_deadline()
            self._wait(self.server.idle)

    def close_if_idle(self) -> None:
        """Close after the time for a last request, unless one has just arrived."""
        if self.state is IDLE:
            self._readable()
        if self.state is HANDSHAKE or (self.state is IDLE and not self.buffer):
            self.close()

    def abort(self) -> bool:
        """Close the connection, or disconnect the client of a running request, whose reads and sends then fail.

        :returns: whether a request runs
        """
        if self.state is not BUSY:
            self.close()
            return False
        try:
            self.shut_down()
        except (OSError, ValueError):
            pass
        return True

    def close_unless_flushing(self) -> None:
        """Close at once, unless the end of a response is still being sent."""
        if not self._unsent:
            self.close()

    def release_after_fork(self) -> None:
        """Release the socket in a forked process. The connection stays open in the parent."""
        self._unwatch()
        self.state = CLOSED
        # gevent's os.close may defer the close.
        posix.close(self.sock.detach())

    def recover(self) -> None:
        """Close after an exception, because the state of the connection is undefined."""
        self.close()

    def reset(self) -> None:
        """Close at once with a TCP reset, so that the client cannot take the response for complete."""
        if self.state is CLOSED:
            return
        try:
            # A TLS session would end with an alert, which says that the response is complete.
            self.sock = _socket.socket(fileno=self.sock.detach())
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        except OSError:
            pass
        self.close()

    def close(self) -> None:
        """Close at once. Closing twice does nothing."""
        if self.state is CLOSED:
            return
        # Nested, so that the file descriptor is closed and the server notified whatever fails.
        try:
            self._close_tls()
        finally:
            self.state = CLOSED
            try:
                self._release()
            finally:
                try:
                    self.sock.close()
                finally:
                    self._closed()

    @abstractmethod
    def _closed(self) -> None:
        """Called when the connection is closed."""

    def _release(self) -> None:
        """Remove the references to this connection from the hub, the deadlines and the outbox."""
        self._unwatch()
        self._stop_deadline()
        self._unsent = b""
        self._stop_flushing()
        self._cancel_waits()
        self.offer.shut_down()
        # It refers back to this connection, and the garbage collector frees such a cycle late.
        del self.offer
