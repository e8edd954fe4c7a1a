"""Accepting connections: from one listening socket, at a rate that is fair between workers."""
from __future__ import annotations

import _socket
import errno
import posix
import sys
from typing import TYPE_CHECKING, Any

from gworkers.http1.environ import Environs
from gworkers.hubs.guard import contained, hub_callback
from gworkers.serving.connection import Connection

if TYPE_CHECKING:
    import ssl

    from gworkers.hubs.base import Watcher
    from gworkers.logs.queue import LogQueue
    from gworkers.serving.server import Server

#: Connections to accept in one go where no other worker could take them.
BATCH = 64
#: Seconds to wait when the process or the system has no descriptor or memory for a connection, or accepting failed.
BACK_OFF = 0.5
#: Seconds to wait when a connection that waits for a request may make room soon.
SHORT_BACK_OFF = 0.05
#: The part of the open connections, inverted, to close when there is no descriptor for a new one: requests need
#: some for their files, too.
EVICTED_PART = 8

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """One listening socket of a worker.

    :param server: where accepted connections go
    :param sock: Gunicorn's socket object
    :param tls: the context for TLS, or None
    """

    def __init__(self, server: Server, sock: Any, tls: ssl.SSLContext | None) -> None:
        self._server = server
        self._sock = sock
        self._native = sock.sock
        self._tls = tls
        self._batch = 1 if server.cfg.workers > 1 else BATCH
        # Elsewhere accepted sockets do not inherit it.
        self._set_no_delay = sys.platform != "linux" and self._native.family != _socket.AF_UNIX
        self.environs = Environs(server.cfg, self._native.getsockname())
        self._watcher: Watcher = server.hub.watch_read(self._native.fileno())
        self._accepting = False
        self._closed = False
        #: whether it pauses for :data:`BACK_OFF`
        self._backing_off = False
        #: how many times the hub has called
        self._turns = 0

    @property
    def log(self) -> LogQueue:
        """Where to report an exception."""
        return self._server.log

    def start(self) -> None:
        """Accept connections from now on; after a backoff, once that is over."""
        if not (self._accepting or self._closed or self._backing_off):
            self._watcher.start(self._accept)
            self._accepting = True

    def pause(self) -> None:
        """Leave further connections to the kernel's queue."""
        self._accepting = False
        self._watcher.stop()

    def next(self) -> object:
        """Return what changes whenever it accepts, for comparison; None if no connection waits, or none is wanted."""
        if self._closed or self._server.full or not self._server.hub.is_readable(self._native.fileno()):
            return None
        return self._turns

    def recover(self) -> None:
        """Go on accepting after a backoff."""
        self._back_off(BACK_OFF)

    def _back_off(self, seconds: float) -> None:
        self.pause()
        self._backing_off = False
        self._server.hub.call_later(seconds, self._end_backoff)
        self._backing_off = True

    @hub_callback
    def _end_backoff(self) -> None:
        self._backing_off = False
        if not self._server.full:
            self.start()

    def close(self) -> None:
        """Stop listening in this process, after taking what the kernel has queued: it may be that nobody else can."""
        self.pause()
        self._closed = True
        queued: list[tuple[int, Any]] = []
        try:
            # No more than fit into the queue: clients that come faster are not to keep the worker.
            while len(queued) < self._server.cfg.backlog:
                queued.append(self._native._accept())
        except OSError:
            pass
        self._sock.close()
        for fd, peer in queued:
            with contained(self):
                self._open(fd, peer)

    def release_after_fork(self) -> None:
        """Let go of the socket in a forked process."""
        self.pause()
        self._closed = True
        self._sock.close()

    @hub_callback
    def _accept(self) -> None:
        self._turns += 1
        for _ in range(self._batch):
            if not self._accepting:
                return
            if not self._server.has_room(self._native.fileno()):
                if not self._server.full:
                    self._back_off(SHORT_BACK_OFF)
                return
            try:
                fd, peer = self._native._accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED and not self._server.evict(
                        self._server.connection_count // EVICTED_PART + 1):
                    self._back_off_without_room(error)
                    return
                # There is room now, or the client gave up while it was in the queue.
                continue
            self._open(fd, peer)

    def _open(self, fd: int, peer: Any) -> None:
        sock: Any = None
        try:
            sock = _socket.socket(self._native.family, self._native.type, self._native.proto, fd)
            sock.setblocking(False)
            if self._set_no_delay:
                sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._server.hub.tls_socket(sock, self._tls, self._server.cfg.suppress_ragged_eofs)
            connection = Connection(self._server, self, sock, peer)
        except BaseException as error:
            # A connection would close its socket.
            if sock is None:
                posix.close(fd)
            else:
                sock.close()
            if not isinstance(error, OSError):
                raise
            self.log.debug("Ignored a connection that failed before its TLS handshake: %s", error)
            return
        with contained(connection):
            self._server.opened(connection)

    def _back_off_without_room(self, error: OSError) -> None:
        if self._server.has_waiting:
            self._back_off(SHORT_BACK_OFF)
            return
        self._back_off(BACK_OFF)
        self.log.warning("Cannot accept connections for the moment: %s. The worker has %s open; raise the "
                         "limit of open files or lower worker_connections.",
                         error, self._server.connection_count)
