"""Bytes to and from one peer: what a request greenlet may wait for."""
from __future__ import annotations

import os
import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any

from gworkers.errors import ClientDisconnected, ClientTimeout

if TYPE_CHECKING:
    from gworkers.hubs.base import Greenlet, Watcher
    from gworkers.server import Server

#: What a parked greenlet is told.
READY, LATE = "ready", "late"

WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

#: Bytes to ask a socket for in one call.
READ_SIZE = 64 * 1024
#: Bytes of a file that the kernel sends in one call; reading them from a disk blocks the hub.
FILE_PIECE = 512 * 1024


class Transport:
    """A non-blocking socket, and the greenlets that wait for it.

    Every method that reads or writes raises :class:`~gworkers.errors.ClientDisconnected` if the
    connection is broken, and :class:`~gworkers.errors.ClientTimeout` after ``body_timeout`` or
    ``write_timeout`` seconds without progress.
    """

    __slots__ = ("_reading", "_slice_end", "_watcher", "_watching", "_write_watcher", "_writing", "server", "sock")

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

    def _watch(self) -> None:
        if not self._watching:
            self._watching = True
            self._watcher.start(self._readable)

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._watcher.stop()

    def _readable(self) -> None:
        raise NotImplementedError

    @property
    def secure(self) -> bool:
        """Whether the connection is TLS."""
        return isinstance(self.sock, ssl.SSLSocket)

    def receive(self) -> bytes:
        """Wait for bytes; none means that the peer will send no more."""
        self.breathe()
        while True:
            try:
                return self.sock.recv(READ_SIZE)  # type: ignore[no-any-return]
            except ssl.SSLWantWriteError:
                self._wait_writable()
            except WOULD_BLOCK:
                self._wait_readable()
            except OSError as error:
                raise _gone(error) from None

    def send(self, data: bytes | memoryview) -> None:
        """Send all of *data*."""
        while True:
            try:
                sent = self.sock.send(data)
            except ssl.SSLWantReadError:
                self._wait_readable()
            except WOULD_BLOCK:
                self._wait_writable()
            except OSError as error:
                raise _gone(error) from None
            else:
                if sent == len(data):
                    return
                data = memoryview(data)[sent:]

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

    def send_file(self, head: bytes, fd: int, offset: int, count: int) -> int:
        """Send *head*, then *count* bytes of the file *fd* from *offset* on.

        :returns: how many bytes of the file were sent; fewer if it ends before
        """
        self._send_head(head)
        out = self.sock.fileno()
        done = 0
        while done < count:
            try:
                sent = os.sendfile(out, fd, offset + done, min(count - done, FILE_PIECE))
            except BlockingIOError:
                self._wait_writable()
            except OSError as error:
                raise _gone(error) from None
            else:
                if not sent:
                    break
                done += sent
                self.breathe()
        return done

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

    def body_late(self) -> None:
        """The greenlet that waits to read has waited for longer than ``body_timeout``."""
        if self._reading is not None:
            self._reading.switch(LATE)

    def write_late(self) -> None:
        """The greenlet that waits to write has waited for longer than ``write_timeout``."""
        if self._writing is not None:
            self._writing.switch(LATE)


def _gone(error: OSError) -> ClientDisconnected:
    return ClientDisconnected(f"the client has gone: {error}")
