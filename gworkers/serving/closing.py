"""How a connection ends: at once, after a lingering close, in a drain, in a forked process."""
from __future__ import annotations

import posix
import socket
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


class ClosableTransport(Transport):
    """A transport in one of the states of a connection, and the ways to end it.

    :param server: what it shares with the other connections of its worker
    :param sock: its socket, which does not block
    """

    __slots__ = ("_deadline", "_lingered", "buffer", "state")

    def __init__(self, server: Server, sock: Any) -> None:
        super().__init__(server, sock)
        self.state: State = IDLE
        #: bytes received and not yet consumed; a bytearray only while a head arrives in pieces
        self.buffer: bytes | bytearray = b""
        #: what limits the present state, if anything does
        self._deadline: Deadline[Any] | None = None
        #: bytes discarded while lingering
        self._lingered = 0

    def _wait(self, deadline: Deadline[Any]) -> None:
        """Wait for the client within *deadline*, without a greenlet."""
        self._deadline = deadline
        deadline.start(self)
        if not self._watching:
            self._watch()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.stop(self)
            self._deadline = None

    def linger(self, deadline: Deadline[Any] | None = None) -> None:
        """End the stream, then discard what the client still sends until it closes its side (RFC 9112 section 9.6).

        To close at once would cause a reset, which can destroy a response that the client has not read.

        :param deadline: how long that may take; ``linger_timeout`` if None
        """
        if self.state is CLOSED:
            return
        if self.broken or (self.last_request and self.secure):
            # The only socket of a TLS session may be the application's, whose greenlets may still read from it.
            self.close()
            return
        self.state = LINGERING
        self.buffer = b""
        self._stop_waiting()
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
        """The worker stops: let the connection end soon, but not before a last request, if one comes.

        To close at once would fail a client that has just connected, or that is about to use a connection it has.
        """
        if self.state is IDLE and not self.buffer:
            self._readable()
        if self.state is HANDSHAKE or (self.state is IDLE and not self.buffer):
            self._stop_waiting()
            self._wait(self.server.idle)

    def close_if_idle(self) -> None:
        """Close, because the time for a last request is over; but a request that has just come is served."""
        if self.state is IDLE:
            self._readable()
        if self.state is HANDSHAKE or (self.state is IDLE and not self.buffer):
            self.close()

    def abort(self) -> bool:
        """End the connection whatever it is doing.

        :returns: whether a request runs, for which its client is now disconnected
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
        """Close at once, unless a complete response is still being sent."""
        if not self._unsent:
            self.close()

    def release_after_fork(self) -> None:
        """Release the socket in a forked process; the connection goes on in the parent."""
        self._unwatch()
        self.state = CLOSED
        # gevent's os.close may defer it.
        posix.close(self.sock.detach())

    def recover(self) -> None:
        """Close after an exception: the state of the connection is undefined."""
        self.close()

    def close(self) -> None:
        """Close at once. Closing twice does nothing."""
        if self.state is CLOSED:
            return
        # Nested, so that whatever fails the descriptor is closed and the server is told.
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
        """The connection is closed."""

    def _release(self) -> None:
        """Remove all references to this connection from elsewhere."""
        self._unwatch()
        self._stop_waiting()
        self._unsent = b""
        self._stop_flushing()
        self._give_up_waiting()
        self.offer.shut_down()
        # It refers back to this, and the garbage collector frees such a cycle late.
        del self.offer
