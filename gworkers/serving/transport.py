"""Bytes to and from one peer."""
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

#: Bytes to ask a socket for in one call.
READ_SIZE = 64 * 1024
#: Bytes of a file that the kernel sends in one call; reading them from a disk blocks the hub.
FILE_PIECE = 512 * 1024

#: What sendfile says to a file of a kind that it does not support, such as many of /proc.
_CANNOT_SEND = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)

M = TypeVar("M", bound=Callable[..., Any])


def sends_now(method: M) -> M:
    """Decorate a method that sends at once.

    What waits in the outbox is sent first. An exception breaks the connection, because bytes behind a gap have no
    defined meaning: the next response could lie inside the body of this one.

    :raises ClientDisconnected: if the connection is broken already
    """
    @wraps(method)
    def checked(self: Transport, *args: Any) -> Any:
        if self.broken:
            raise ClientDisconnected("nothing more can be sent on this connection: a part of the response was "
                                     "interrupted, or the application has sent on the socket itself")
        self.server.outbox.flush_before_send()
        try:
            return method(self, *args)
        except BaseException:
            self.break_off()
            raise

    return cast("M", checked)


class Transport(WaitableSocket):
    """Reads from one peer and writes to it, waiting where that is necessary.

    Every method that reads or writes raises :class:`~gworkers.errors.ClientDisconnected` if the
    connection is broken, and :class:`~gworkers.errors.ClientTimeout` after ``body_timeout`` or
    ``write_timeout`` seconds without progress.
    """

    __slots__ = ("_unsent", "broken", "descriptor_taken", "last_request", "offer")

    def __init__(self, server: Server, sock: Any) -> None:
        super().__init__(server, sock)
        #: the answer, or the rest of it, that the outbox is to send
        self._unsent: bytes | memoryview = b""
        #: whether the connection ends with this request, whatever its response says: the application has the socket,
        #: or the connection is broken
        self.last_request = False
        #: whether nothing more may be sent: a send was interrupted, or the application has sent on the socket itself
        self.broken = False
        #: the value of ``environ["gunicorn.socket"]``
        self.offer = OfferedSocket(self)
        #: whether the application has asked :attr:`offer` for its file descriptor
        self.descriptor_taken = False

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
            return self.server.hub.cooperative_socket(self.sock)
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

    def receive(self, limit: TimeLimit | None = None) -> bytes:
        """Wait for bytes, within *limit* instead of that for bodies; none means that the peer will send no more."""
        if limit is None:
            limit = self.server.body
        while True:
            try:
                return self.sock.recv(READ_SIZE)  # type: ignore[no-any-return]
            except ssl.SSLWantWriteError:
                self._wait_writable()
            except WOULD_BLOCK:
                self._wait_readable(limit)
            except OSError as error:
                raise _gone(error) from None

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
            # It has made progress.
            self.server.write.stop(self)
            self.server.write.start(self)

    def _stop_flushing(self) -> None:
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

    @sends_now
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

    @sends_now
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
                self.yield_if_due()
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


def _gone(error: OSError) -> ClientDisconnected:
    return ClientDisconnected(f"the client has gone: {error}")
