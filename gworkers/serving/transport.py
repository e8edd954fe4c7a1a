"""Sending and receiving: bytes to and from one peer."""
from __future__ import annotations

import _socket
import errno
import os
import socket
import ssl
from abc import abstractmethod
from functools import wraps
from typing import TYPE_CHECKING, Any, Callable, TypeVar, cast

from gworkers.errors import ClientDisconnected
from gworkers.serving.taken_socket import OfferedSocket
from gworkers.serving.waitable_socket import WaitableSocket

if TYPE_CHECKING:
    from gworkers.http1.client_connection import TimeLimit
    from gworkers.serving.server import Server

WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

#: The most bytes to receive in one call.
READ_SIZE = 64 * 1024
#: The most bytes of a file to send in one call. The hub is blocked while the kernel reads them from a disk.
FILE_PIECE = 512 * 1024

#: The errors of sendfile for kinds of files that it does not support, such as many in /proc.
_UNSUPPORTED_FILE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)

M = TypeVar("M", bound=Callable[..., Any])


def sends_now(method: M) -> M:
    """Decorate a method that sends at once.

    The responses in the outbox are sent first. An exception breaks the connection, because bytes after a gap would
    be misread: the client could take the next response for a part of this one.

    :raises ClientDisconnected: if the connection is broken
    """
    @wraps(method)
    def checked(self: Transport, *args: Any) -> Any:
        if self.broken:
            raise ClientDisconnected("nothing more can be sent on this connection: sending was interrupted in the "
                                     "middle of a response, or the application has sent bytes on the socket itself")
        self.server.outbox.flush_before_send()
        try:
            return method(self, *args)
        except BaseException:
            self.break_off()
            raise

    return cast("M", checked)


class Transport(WaitableSocket):
    """Receives from one peer and sends to it, and waits where that is necessary.

    Each method that receives or sends raises :class:`~gworkers.errors.ClientDisconnected` if the
    connection is broken, and :class:`~gworkers.errors.ClientTimeout` after ``body_timeout`` or
    ``write_timeout`` seconds without progress.
    """

    __slots__ = ("_unsent", "broken", "descriptor_taken", "last_request", "offer")

    def __init__(self, server: Server, sock: Any) -> None:
        super().__init__(server, sock)
        #: the end of a response that the outbox, or :meth:`flush`, is to send
        self._unsent: bytes | memoryview = b""
        #: whether the connection ends with this request, whatever its response says: the application has the socket,
        #: or the connection is broken
        self.last_request = False
        #: whether nothing more may be sent: sending was interrupted, or the application has sent on the socket itself
        self.broken = False
        #: the value of ``environ["gunicorn.socket"]``
        self.offer = OfferedSocket(self)
        #: whether the application has asked :attr:`offer` for its file descriptor
        self.descriptor_taken = False

    @property
    def secure(self) -> bool:
        """Whether the connection is TLS."""
        return isinstance(self.sock, ssl.SSLSocket)

    @property
    def taken_over(self) -> bool:
        """Whether the application uses the socket itself."""
        return self.offer.socket_made

    def hand_over(self) -> Any:
        """Send what was left to the outbox, then return a cooperative socket for the application.

        The socket is a duplicate, so that neither side closes a socket that the other one needs. A TLS session cannot
        be duplicated, so for TLS it is the socket itself.
        """
        self.last_request = True
        if self._unsent:
            data, self._unsent = self._unsent, b""
            self._stop_flushing()
            self.send(data)
            self._flushed()
        if not self.secure:
            return self.server.hub.cooperative_socket(self.sock)
        self._unwatch()
        self.sock.setblocking(True)
        return self.sock

    def break_off(self) -> None:
        """Send nothing more; the connection ends with this request."""
        self.last_request = True
        self.broken = True

    def shut_down(self) -> None:
        """End the stream in both directions, for the peer and for the application.

        :raises OSError: if the peer has disconnected
        :raises ValueError: if the application has closed the socket
        """
        sock = self.sock
        # Not SSLSocket.shutdown, which drops the session: recv would then return encrypted bytes.
        plain = _socket.socket(sock.family, sock.type, sock.proto, sock.fileno())
        try:
            plain.shutdown(socket.SHUT_RDWR)
        finally:
            plain.detach()

    def receive(self, limit: TimeLimit | None = None) -> bytes:
        """Wait for bytes and return them; return none if the peer will send no more.

        :param limit: how long to wait; ``body_timeout`` if None
        """
        if limit is None:
            limit = self.server.body
        while True:
            try:
                data: bytes = self.sock.recv(READ_SIZE)
            except ssl.SSLWantWriteError:
                self._wait_writable()
            except WOULD_BLOCK:
                self._wait_readable(limit)
            except OSError as error:
                raise _disconnected(error) from None
            else:
                self.server.counters.bytes_in += len(data)
                return data

    @sends_now
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
                raise _disconnected(error) from None
            else:
                self.server.counters.bytes_out += sent
                if sent == len(data):
                    return
                if not sent:
                    # TLS sockets of gevent return 0 where others raise SSLWantWriteError.
                    self._wait_writable()
                data = memoryview(data)[sent:]

    def try_to_send(self, data: bytes) -> bool:
        """Send *data*, which is small, without waiting, unless the client takes nothing now.

        :returns: false if the connection is broken
        """
        self.server.outbox.flush_before_send()
        if self._unsent or self.broken:
            return not self.broken
        try:
            sent = self.sock.send(data)
        except WOULD_BLOCK:
            return True
        except OSError:
            return False
        self.server.counters.bytes_out += sent
        if sent < len(data):
            self.break_off()
        return bool(sent == len(data))

    def send_last(self, data: bytes) -> None:
        """Send *data*, which completes a response: at once, or a moment later in a batch."""
        if not self.last_request and self.server.outbox.add(self):
            self._unsent = data
        else:
            self.send(data)

    def flush(self) -> None:
        """Send what was left to the outbox. If the kernel does not take all, the rest follows when it can."""
        if not self._unsent:
            # The connection was closed in the meantime, or the application has taken its socket.
            return
        try:
            sent = self.sock.send(self._unsent)
        except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError):
            sent = 0
        except OSError as error:
            # This includes SSLWantReadError, from a client that renegotiates instead of reading.
            self._abort_flush(error)
            return
        self.server.counters.bytes_out += sent
        if sent == len(self._unsent):
            self._unsent = b""
            if self._flushing:
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
            # The client has made progress, so its time begins again.
            self.server.write.stop(self)
            self.server.write.start(self)

    def _stop_flushing(self) -> None:
        self._flushing = False
        self._unwatch_write()
        self.server.write.stop(self)

    def _abort_flush(self, error: OSError) -> None:
        self.server.log.debug("A client disconnected before it got the whole response: %s", error)
        self._unsent = b""
        self._stop_flushing()
        self._flush_failed()

    @abstractmethod
    def _flushed(self) -> None:
        """Called when everything that was left to the outbox has been sent."""

    @abstractmethod
    def _flush_failed(self) -> None:
        """Called when what was left to the outbox cannot be sent."""

    @sends_now
    def send_parts(self, parts: list[bytes]) -> None:
        """Send all of *parts*, one after the other, with one system call if the kernel takes them all."""
        if self.secure or not hasattr(self.sock, "sendmsg"):
            self.send(b"".join(parts))
            return
        try:
            sent = self.sock.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise _disconnected(error) from None
        self.server.counters.bytes_out += sent
        for part in parts:
            if sent < len(part):
                self.send(memoryview(part)[sent:])
                sent = 0
            else:
                sent -= len(part)

    @property
    def can_send_files(self) -> bool:
        """Whether :meth:`send_file` may be called."""
        return self.server.sendfile and not self.secure

    @sends_now
    def send_file(self, head: bytes, fd: int, offset: int, count: int) -> int | None:
        """Send *head*, then *count* bytes of the file *fd* from *offset* on. The kernel copies them.

        :returns: the number of bytes of the file that were sent, less than *count* if the file is shorter;
            None if the kernel cannot send from this file and only *head* was sent
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
                if self._has_failed():
                    raise _disconnected(error) from None
                if not done and error.errno in _UNSUPPORTED_FILE:
                    return None
                raise
            else:
                if not sent:
                    break
                done += sent
                self.server.counters.bytes_out += sent
                self.yield_if_due()
        return done

    def _has_failed(self) -> bool:
        """Return whether the socket has failed. An error of sendfile may be that of the socket or of the file."""
        try:
            self.sock.send(b"")
        except WOULD_BLOCK:
            return False
        except OSError:
            return True
        return False

    def _send_head(self, head: bytes) -> None:
        """Send *head*, and let the kernel put it into one packet with what follows."""
        try:
            sent = self.sock.send(head, getattr(socket, "MSG_MORE", 0))
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise _disconnected(error) from None
        self.server.counters.bytes_out += sent
        if sent < len(head):
            self.send(head[sent:])


def _disconnected(error: OSError) -> ClientDisconnected:
    return ClientDisconnected(f"the client has disconnected: {error}")
