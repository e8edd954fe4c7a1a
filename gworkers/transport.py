"""Bytes to and from one peer: what a request greenlet may wait for."""
from __future__ import annotations

import _socket
import errno
import os
import socket
import ssl
from abc import ABC, abstractmethod
from functools import wraps
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, TypeVar, cast

from gworkers.errors import ClientDisconnected, ClientTimeout
from gworkers.hub_guard import hub_callback

if TYPE_CHECKING:
    from gworkers.deadlines import Deadline
    from gworkers.hubs.base import Greenlet, Watcher
    from gworkers.log_queue import LogQueue
    from gworkers.server import Server

#: What a parked greenlet is told.
READY, LATE, OVER = "ready", "late", "over"

WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

#: Bytes to ask a socket for in one call.
READ_SIZE = 64 * 1024
#: Bytes of a file that the kernel sends in one call; reading them from a disk blocks the hub.
FILE_PIECE = 512 * 1024

#: What sendfile says to a file of a kind that it does not support, such as many of /proc.
_CANNOT_SEND = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)

M = TypeVar("M", bound=Callable[..., Any])


def unbroken(method: M) -> M:
    """Decorate a method that sends: an exception in it breaks the connection, and on a broken one it does nothing.

    What the peer would make of bytes behind a gap is not known: the next response could lie inside this one's body.

    :raises ClientDisconnected: if the connection is broken already
    """
    @wraps(method)
    def checked(self: Transport, *args: Any) -> Any:
        if self.broken:
            raise ClientDisconnected("nothing more can be sent on this connection: a part of the response was "
                                     "interrupted, or the application has sent on the socket itself")
        try:
            return method(self, *args)
        except BaseException:
            self.break_off()
            raise

    return cast("M", checked)


class Transport(ABC):
    """A non-blocking socket, and the greenlets that wait for it.

    Every method that reads or writes raises :class:`~gworkers.errors.ClientDisconnected` if the
    connection is broken, and :class:`~gworkers.errors.ClientTimeout` after ``body_timeout`` or
    ``write_timeout`` seconds without progress.
    """

    __slots__ = ("_flushing", "_reading", "_slice_end", "_unsent", "_watcher", "_watching", "_write_watcher",
                 "_writing", "broken", "last_request", "server", "sock")

    def __init__(self, server: Server, sock: Any) -> None:
        self.server = server
        self.sock = sock
        self._watcher: Watcher = server.hub.watch_read(sock.fileno())
        self._watching = False
        self._write_watcher: Watcher | None = None
        #: the greenlets that wait to read and to write
        self._reading: Greenlet | None = None
        self._writing: Greenlet | None = None
        self._slice_end = 0.0
        #: the answer, or the rest of it, that the outbox is to send
        self._unsent: bytes | memoryview = b""
        #: whether the hub sends what is unsent when the socket is writable
        self._flushing = False
        #: whether the connection ends with this request, whatever its response says: the application has the socket,
        #: or the connection is broken
        self.last_request = False
        #: whether nothing more may be sent: a send was interrupted, or the application has sent on the socket itself
        self.broken = False

    @property
    def log(self) -> LogQueue:
        """Where to report an exception."""
        return self.server.log

    @abstractmethod
    def recover(self) -> None:
        """Close after an exception in a callback."""

    def _watch(self) -> None:
        if not self._watching:
            self._watcher.start(self._readable)
            self._watching = True

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._watcher.stop()

    @abstractmethod
    def _readable(self) -> None:
        """The socket is readable, and it is watched."""

    @property
    def secure(self) -> bool:
        """Whether the connection is TLS."""
        return isinstance(self.sock, ssl.SSLSocket)

    def hand_over(self) -> Any:
        """Return a cooperative socket for the application, behind all that has been left to the outbox.

        It is a duplicate, so that neither side closes what the other still needs. A TLS session cannot be
        duplicated: there it is the socket itself.
        """
        self.last_request = True
        if self._unsent:
            data, self._unsent = self._unsent, b""
            self._stop_flushing()
            self.send(data)
            self._flushed()
        if not self.secure:
            return self.server.hub.socket(self.sock)
        self._unwatch()
        self.sock.setblocking(True)
        return self.sock

    def break_off(self) -> None:
        """Send nothing more; the connection ends with this request."""
        self.last_request = True
        self.broken = True

    def shut_down(self) -> None:
        """Tell both sides, the application too, that this is the end of the stream.

        :raises OSError: if the peer has gone
        :raises ValueError: if the application has closed the socket
        """
        sock = self.sock
        # SSLSocket.shutdown drops the session, and recv then returns the records of TLS as they are.
        plain = _socket.socket(sock.family, sock.type, sock.proto, sock.fileno())
        try:
            plain.shutdown(socket.SHUT_RDWR)
        finally:
            plain.detach()

    def receive(self, deadline: Deadline[Any] | None = None) -> bytes:
        """Wait for bytes, until *deadline* instead of that for bodies; none means that the peer will send no more."""
        if deadline is None:
            deadline = self.server.body
        while True:
            try:
                return self.sock.recv(READ_SIZE)  # type: ignore[no-any-return]
            except ssl.SSLWantWriteError:
                self._wait_writable()
            except WOULD_BLOCK:
                self._wait_readable(deadline)
            except OSError as error:
                raise _gone(error) from None

    @unbroken
    def send(self, data: bytes | memoryview) -> None:
        """Send all of *data*."""
        while True:
            try:
                sent = self.sock.send(data)
            except ssl.SSLWantReadError:
                self._wait_readable(self.server.body)
            except WOULD_BLOCK:
                self._wait_writable()
            except OSError as error:
                raise _gone(error) from None
            else:
                if sent == len(data):
                    return
                if not sent:
                    # gevent's TLS sockets return 0 where others raise SSLWantWriteError.
                    self._wait_writable()
                data = memoryview(data)[sent:]

    def send_last(self, data: bytes) -> None:
        """Send *data*, with which a response is complete: now, or soon with those of others."""
        if not self.last_request and self.server.outbox.add(self):
            self._unsent = data
        else:
            self.send(data)

    def flush(self) -> None:
        """Send what was left to the outbox; the rest, if the kernel does not take all, when the socket is writable."""
        if not self._unsent:
            # Closed in the meantime.
            return
        try:
            sent = self.sock.send(self._unsent)
        except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError):
            sent = 0
        except OSError as error:
            # SSLWantReadError too: a client that renegotiates instead of reading is not waited for.
            self._lose(error)
            return
        if sent == len(self._unsent):
            self._unsent = b""
            self._stop_flushing()
            self._flushed()
        else:
            self._unsent = memoryview(self._unsent)[sent:]
            self._flush_when_writable(sent)

    def _flush_when_writable(self, sent: int) -> None:
        if not self._flushing:
            self._watch_write()
            self._flushing = True
            self.server.write.start(self)
        elif sent:
            # It has made progress.
            self.server.write.stop(self)
            self.server.write.start(self)

    def _stop_flushing(self) -> None:
        if self._flushing:
            self._flushing = False
            self._unwatch_write()
            self.server.write.stop(self)

    def _lose(self, error: OSError) -> None:
        self.server.log.debug("Ignored a client that left: %s", error)
        self._unsent = b""
        self._stop_flushing()
        self._lost()

    @abstractmethod
    def _flushed(self) -> None:
        """What the outbox had has been sent."""

    @abstractmethod
    def _lost(self) -> None:
        """What the outbox had cannot be sent: the peer has gone."""

    @unbroken
    def send_parts(self, parts: list[bytes]) -> None:
        """Send *parts* one behind the other, in one system call if the kernel takes them."""
        if self.secure or not hasattr(self.sock, "sendmsg"):
            self.send(b"".join(parts))
            return
        try:
            sent = self.sock.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise _gone(error) from None
        for part in parts:
            if sent < len(part):
                self.send(memoryview(part)[sent:])
                sent = 0
            else:
                sent -= len(part)

    @property
    def can_send_files(self) -> bool:
        """Whether the kernel may copy a file to this connection."""
        return self.server.sendfile and not self.secure

    @unbroken
    def send_file(self, head: bytes, fd: int, offset: int, count: int) -> int | None:
        """Send *head*, then *count* bytes of the file *fd* from *offset* on.

        :returns: how many bytes of the file were sent; fewer if it ends before; None if the kernel can send none,
            but perhaps read the file
        :raises OSError: if the file cannot be read
        """
        self._send_head(head)
        done = 0
        while done < count:
            try:
                sent = os.sendfile(self.sock.fileno(), fd, offset + done, min(count - done, FILE_PIECE))
            except BlockingIOError:
                self._wait_writable()
            except OSError as error:
                if self._is_broken():
                    raise _gone(error) from None
                if not done and error.errno in _CANNOT_SEND:
                    return None
                raise
            else:
                if not sent:
                    break
                done += sent
                self.breathe()
        return done

    def _is_broken(self) -> bool:
        """Return whether the socket takes no more, which tells errors of a connection from those of a file."""
        try:
            self.sock.send(b"")
        except WOULD_BLOCK:
            return False
        except OSError:
            return True
        return False

    def _send_head(self, head: bytes) -> None:
        """Send *head* in such a way that the kernel waits for what follows before it makes a packet."""
        try:
            sent = self.sock.send(head, getattr(socket, "MSG_MORE", 0))
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise _gone(error) from None
        if sent < len(head):
            self.send(head[sent:])

    def breathe(self) -> None:
        """Let the others have their turn if this request has had the hub for its ``time_slice``."""
        now = monotonic()
        if not self._slice_end:
            self._slice_end = now + self.server.time_slice
        elif now > self._slice_end:
            self.server.hub.pause()
            self._slice_end = monotonic() + self.server.time_slice

    def _wait_readable(self, deadline: Deadline[Any]) -> None:
        if self._reading is not None:
            raise RuntimeError("two greenlets read from one connection")
        self._reading = self.server.hub.current()
        try:
            self._watch()
            self._wait_until(deadline, "the client sent no more of its request body in time")
        finally:
            self._reading = None

    def _wait_writable(self) -> None:
        if self._writing is not None or self._flushing:
            raise RuntimeError("two greenlets write to one connection")
        self._writing = self.server.hub.current()
        try:
            self._watch_write()
            self._wait_until(self.server.write, "the client took no more of the response in time")
        finally:
            self._writing = None
            self._unwatch_write()

    def _watch_write(self) -> None:
        if self._write_watcher is None:
            self._write_watcher = self.server.hub.watch_write(self.sock.fileno())
        self._write_watcher.start(self._writable)

    def _unwatch_write(self) -> None:
        if self._write_watcher is not None:
            self._write_watcher.stop()

    def _wait_until(self, deadline: Deadline[Any], late: str) -> None:
        deadline.start(self)
        try:
            outcome = self.server.hub.park()
        finally:
            deadline.stop(self)
        if outcome is LATE:
            raise ClientTimeout(late)
        if outcome is OVER:
            raise ClientDisconnected("the connection was closed")
        self._slice_end = 0.0

    @property
    def awaited(self) -> bool:
        """Whether a greenlet waits for the peer."""
        return self._reading is not None or self._writing is not None

    def _give_up_waiting(self) -> None:
        """Tell the greenlets that wait for the peer that it is over."""
        if self.awaited:
            # Only the hub may switch to one.
            self.server.hub.call_soon(self._dismiss)

    @hub_callback
    def _dismiss(self) -> None:
        if self._reading is not None:
            self._reading.switch(OVER)
        if self._writing is not None:
            self._writing.switch(OVER)

    @hub_callback
    def _writable(self) -> None:
        if self._writing is not None:
            self._writing.switch(READY)
        else:
            self.flush()

    def body_late(self) -> None:
        """The greenlet that waits to read has waited for longer than ``body_timeout``."""
        if self._reading is not None:
            self._reading.switch(LATE)

    def write_late(self) -> None:
        """The client has taken no byte of the response for longer than ``write_timeout``."""
        if self._writing is not None:
            self._writing.switch(LATE)
        elif self._flushing:
            self._lose(ClientTimeout("the client took no more of the response in time"))


def _gone(error: OSError) -> ClientDisconnected:
    return ClientDisconnected(f"the client has gone: {error}")
