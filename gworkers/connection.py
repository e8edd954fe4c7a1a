"""The life of one connection.

::

    accept --> HANDSHAKE (TLS only) --> IDLE: no greenlet, one watcher, one deadline
                                         |  ^
                  a head is complete     v  |   answered, and kept alive
                                        BUSY: a request greenlet reads, calls the application, writes
                                         |
                                         v
                 LINGERING (only to save an answer from a reset) --> CLOSED

Everything in the upper half runs in the hub and never blocks; what may wait runs in the
request greenlet and says so. While a request runs its watcher stays as it is: only if it fires
(pipelined bytes, or the client has gone) is it stopped, until the connection is idle again.
"""
from __future__ import annotations

import os
import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any

from gworkers.errors import ClientDisconnected, ClientError, ClientTimeout, Refusal
from gworkers.exchange import serve
from gworkers.http1.refusal import error_page

if TYPE_CHECKING:
    from gworkers.deadlines import Deadline
    from gworkers.hubs.base import Greenlet, Watcher
    from gworkers.http1.request import Request
    from gworkers.listener import Listener
    from gworkers.server import Server

HANDSHAKE, IDLE, BUSY, LINGERING, CLOSED = "handshake", "idle", "busy", "lingering", "closed"

#: What a parked greenlet is told.
READY, LATE = "ready", "late"

WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

#: Bytes to ask a socket for in one call.
READ_SIZE = 64 * 1024
#: Bytes of a file that the kernel sends in one call; reading them from a disk blocks the hub.
FILE_PIECE = 512 * 1024
#: Bytes to throw away, at most, from a client that goes on sending to a closed connection.
LINGER_LIMIT = 4 * 1024 * 1024


class Connection:
    """One accepted connection.

    :param server: what it shares with the others of its worker
    :param listener: where it came from
    :param sock: its socket, which does not block
    :param peer: the address of the other end
    """

    __slots__ = ("_deadline", "_lingered", "_proxy", "_reading", "_seen", "_slice_end", "_watcher", "_watching",
                 "_write_watcher", "_writing", "buffer", "listener", "offered", "peer", "phase", "served", "server",
                 "sock", "trusted")

    def __init__(self, server: Server, listener: Listener, sock: Any, peer: Any) -> None:
        self.server = server
        self.listener = listener
        self.sock = sock
        self.peer = peer
        self.trusted = server.trusts(peer)
        #: bytes received and not yet consumed
        self.buffer = b""
        #: requests so far
        self.served = 0
        self.phase = IDLE
        #: whether the application has asked for the socket
        self.offered = False
        #: what of the buffer the parser has seen and found incomplete
        self._seen = 0
        #: what a proxy said of the client in a PROXY header, which counts for all requests
        self._proxy: Any = None
        self._deadline: Deadline | None = None
        self._watcher: Watcher = server.hub.watch_read(sock.fileno())
        self._watching = False
        self._write_watcher: Watcher | None = None
        #: the greenlets that wait to read and to write
        self._reading: Greenlet | None = None
        self._writing: Greenlet | None = None
        self._slice_end = 0.0
        self._lingered = 0

    # In the hub: waiting for requests

    def open(self) -> None:
        """Begin: wait for a handshake or a request."""
        if isinstance(self.sock, ssl.SSLSocket):
            self.phase = HANDSHAKE
            self._wait(self.server.handshake)
        else:
            self._wait(self.server.head)

    def _wait(self, deadline: Deadline) -> None:
        self._deadline = deadline
        deadline.start(self)
        self._watch()

    def _watch(self) -> None:
        if not self._watching:
            self._watching = True
            self._watcher.start(self._readable)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.stop(self)
            self._deadline = None

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._watcher.stop()

    def _readable(self) -> None:
        try:
            if self.phase is IDLE:
                self._read_head()
            elif self._reading is not None:
                self._reading.switch(READY)
            elif self.phase is BUSY:
                self._unwatch()
            elif self.phase is HANDSHAKE:
                self._shake_hands()
            elif self.phase is LINGERING:
                self._throw_away()
        except Exception:
            self.server.log.exception("Error on a connection from %s", self.peer_name)
            self.close()

    def _read_head(self) -> None:
        try:
            data = self.sock.recv(READ_SIZE)
        except WOULD_BLOCK:
            return
        except OSError as error:
            self.server.log.debug("Ignored a failed connection from %s: %s", self.peer_name, error)
            self.close()
            return
        if not data:
            self.close()
        else:
            self._proceed(self.buffer + data if self.buffer else data)

    def _proceed(self, data: bytes) -> None:
        """Serve the request whose head *data* starts with, if it is complete."""
        server = self.server
        try:
            request = server.heads.parse(data, self._seen, self.peer, self.trusted, self.served + 1)
        except Refusal as refusal:
            self.buffer = data
            self.refuse(refusal)
            return
        if request is None:
            self.buffer = data
            if self._deadline is not server.head:
                # The first bytes after a pause: from now on it is the head's time that counts.
                self._stop_waiting()
                self._wait(server.head)
            self._seen = len(data)
            return
        self._stop_waiting()
        self._seen = 0
        self.buffer = data[request.size:]
        self.served += 1
        if request.proxy_protocol_info:
            self._proxy = request.proxy_protocol_info
        elif self._proxy is not None:
            request.proxy_protocol_info = self._proxy
        self.phase = BUSY
        server.greenlets.run(self._serve, request)

    def _next(self) -> None:
        """Serve what has arrived already; called once the others had their turn."""
        if self.phase is IDLE and self.buffer:
            self._proceed(self.buffer)

    def refuse(self, refusal: Refusal) -> None:
        """Answer with an error, log it and close."""
        self.complain(refusal)
        self.answer(refusal.status, refusal.reason, refusal.detail)

    def complain(self, error: ClientError) -> None:
        """Log what the client did wrong."""
        self.server.log.warning("Invalid request from ip=%s: %s", self.peer_name, error)

    def answer(self, status: int, reason: str, detail: str) -> None:
        """Send an error page, as far as that goes without waiting, and close."""
        try:
            self.sock.send(error_page(status, reason, detail))
        except OSError:
            pass
        self.linger()

    @property
    def peer_name(self) -> str:
        """The peer's address for a log."""
        return str(self.peer[0]) if isinstance(self.peer, tuple) else os.fsdecode(self.peer)

    # In the hub: TLS

    def _shake_hands(self) -> None:
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            # A handshake is smaller than any send buffer, so this is as good as a read to come.
            return
        except (OSError, ValueError) as error:
            self.server.log.warning("Invalid request from ip=%s: TLS handshake failed: %s", self.peer_name, error)
            self.close()
            return
        self.phase = IDLE
        self._stop_waiting()
        self._wait(self.server.head)

    # In the hub: the end

    def head_late(self) -> None:
        """A request head has not arrived in time (RFC 9110 section 15.5.9)."""
        if self.buffer:
            self.refuse(Refusal(408, "Request Timeout", "the request head did not arrive in time"))
        else:
            self.close()

    def body_late(self) -> None:
        """The greenlet that waits to read has waited too long."""
        if self._reading is not None:
            self._reading.switch(LATE)

    def write_late(self) -> None:
        """The greenlet that waits to write has waited too long."""
        if self._writing is not None:
            self._writing.switch(LATE)

    def linger(self) -> None:
        """Close without a reset, which could overtake the answer: first read what is on its way (RFC 9112, 9.6)."""
        if self.phase is CLOSED:
            return
        self.phase = LINGERING
        self.buffer = b""
        self._stop_waiting()
        try:
            if isinstance(self.sock, ssl.SSLSocket):
                self._close_tls()
            self.sock.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            self.close()
        else:
            self._wait(self.server.linger)

    def _close_tls(self) -> None:
        try:
            self.sock.unwrap()
        except (OSError, ValueError):
            # Sent is all that counts: whether the peer answers is its own affair (RFC 8446 section 6.1).
            pass

    def _throw_away(self) -> None:
        try:
            data = self.sock.recv(READ_SIZE)
        except WOULD_BLOCK:
            return
        except (OSError, ValueError):
            data = b""
        self._lingered += len(data)
        if not data or self._lingered > LINGER_LIMIT:
            self.close()

    def cut(self) -> None:
        """End the connection whatever it is doing; a request on it sees that its client has gone."""
        if self.phase is BUSY:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        else:
            self.close()

    def close(self) -> None:
        """Close at once. Closing twice does nothing."""
        if self.phase is CLOSED:
            return
        self._stop_waiting()
        self._unwatch()
        if isinstance(self.sock, ssl.SSLSocket) and self.phase is not HANDSHAKE:
            self._close_tls()
        self.phase = CLOSED
        try:
            self.sock.close()
        except OSError:
            pass
        self.server.closed(self)

    # In the request greenlet

    def _serve(self, request: Request) -> None:
        keep = serve(self, request)
        if self.phase is CLOSED:
            return
        if not keep:
            if self.buffer or request.keepalive or not request.body.complete:
                self.linger()
            else:
                self.close()
            return
        self.phase = IDLE
        self._slice_end = 0.0
        self._wait(self.server.idle)
        if self.server.full:
            self.server.make_room()
        if self.buffer:
            self.server.hub.call_soon(self._next)

    def receive(self) -> bytes:
        """Wait for bytes; none means that the client will send no more.

        :raises ClientDisconnected: if the connection is broken
        :raises ClientTimeout: after ``body_timeout``
        """
        self.breathe()
        while True:
            try:
                return self.sock.recv(READ_SIZE)  # type: ignore[no-any-return]
            except ssl.SSLWantWriteError:
                self._wait_writable()
            except WOULD_BLOCK:
                self._wait_readable()
            except OSError as error:
                raise ClientDisconnected(f"the client has gone: {error}") from None

    def send(self, data: bytes | memoryview) -> None:
        """Send all of *data*.

        :raises ClientDisconnected: if the connection is broken
        :raises ClientTimeout: after ``write_timeout`` without progress
        """
        while True:
            try:
                sent = self.sock.send(data)
            except ssl.SSLWantReadError:
                self._wait_readable()
            except WOULD_BLOCK:
                self._wait_writable()
            except OSError as error:
                raise ClientDisconnected(f"the client has gone: {error}") from None
            else:
                if sent == len(data):
                    return
                data = memoryview(data)[sent:]

    def send_all(self, parts: list[bytes]) -> None:
        """Send *parts* one behind the other, in one system call if the kernel takes them."""
        if isinstance(self.sock, ssl.SSLSocket) or not hasattr(self.sock, "sendmsg"):
            self.send(b"".join(parts))
            return
        try:
            sent = self.sock.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ClientDisconnected(f"the client has gone: {error}") from None
        for part in parts:
            if sent < len(part):
                self.send(memoryview(part)[sent:])
                sent = 0
            else:
                sent -= len(part)

    @property
    def can_send_files(self) -> bool:
        """Whether the kernel may copy a file to this connection."""
        return self.server.sendfile and not isinstance(self.sock, ssl.SSLSocket)

    def send_file(self, head: bytes, fd: int, offset: int, count: int) -> int:
        """Send *head* and *count* bytes of the file *fd* from *offset* on; return how many of the file were sent.

        Fewer are sent if the file ends before.
        """
        # The kernel waits with the head for the first bytes of the file.
        self._send_flagged(head, getattr(socket, "MSG_MORE", 0))
        out = self.sock.fileno()
        done = 0
        while done < count:
            try:
                sent = os.sendfile(out, fd, offset + done, min(count - done, FILE_PIECE))
            except BlockingIOError:
                self._wait_writable()
            except OSError as error:
                raise ClientDisconnected(f"the client has gone: {error}") from None
            else:
                if not sent:
                    break
                done += sent
                self.breathe()
        return done

    def _send_flagged(self, data: bytes, flags: int) -> None:
        try:
            sent = self.sock.send(data, flags)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ClientDisconnected(f"the client has gone: {error}") from None
        if sent < len(data):
            self.send(data[sent:])

    def send_continue(self) -> None:
        """Ask for the request body (RFC 9110 section 15.2.1)."""
        self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def breathe(self) -> None:
        """Let the others have their turn if this request has had the hub for its ``time_slice``."""
        now = monotonic()
        if not self._slice_end:
            self._slice_end = now + self.server.time_slice
        elif now > self._slice_end:
            self.server.hub.pause()
            self._slice_end = monotonic() + self.server.time_slice

    def _wait_readable(self) -> None:
        hub = self.server.hub
        self.server.body.start(self)
        self._reading = hub.current()
        self._watch()
        try:
            outcome = hub.park()
        finally:
            self._reading = None
            self.server.body.stop(self)
        if outcome is LATE:
            raise ClientTimeout("the client sent no more of its request body in time")
        self._slice_end = 0.0

    def _wait_writable(self) -> None:
        hub = self.server.hub
        if self._write_watcher is None:
            self._write_watcher = hub.watch_write(self.sock.fileno())
        self.server.write.start(self)
        self._writing = hub.current()
        self._write_watcher.start(self._writable)
        try:
            outcome = hub.park()
        finally:
            self._write_watcher.stop()
            self._writing = None
            self.server.write.stop(self)
        if outcome is LATE:
            raise ClientTimeout("the client took no more of the response in time")
        self._slice_end = 0.0

    def _writable(self) -> None:
        if self._writing is not None:
            self._writing.switch(READY)

    def offer_socket(self) -> socket.socket:
        """Return a cooperative socket for the application; using it is the application's affair.

        It is a duplicate, so that neither side closes what the other still needs. A TLS session
        cannot be duplicated: there it is the connection's own socket.
        """
        self.offered = True
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(None)
            return self.sock
        return self.server.hub.socket(self.sock)

    def hand_over(self) -> None:
        """Leave the connection to the application, which has a socket of its own for it."""
        self._unwatch()
        self.phase = CLOSED
        if not isinstance(self.sock, ssl.SSLSocket):
            self.sock.close()
        self.server.closed(self)
