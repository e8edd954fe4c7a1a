"""Accepting connections on one listening socket. The workers share the load fairly."""
from __future__ import annotations

import _socket
import errno
import posix
import sys
from typing import TYPE_CHECKING, Any

from gworkers.http1.environ import Environs
from gworkers.hubs.guard import contained, hub_callback
from gworkers.serving.connection import Connection
from gworkers.serving.current_request import entries

if TYPE_CHECKING:
    import ssl

    from gworkers.hubs.base import Watcher
    from gworkers.logs.queue import LogQueue
    from gworkers.serving.server import Server

#: The most connections to accept in one turn of the hub. With several workers it is one, because others may be idle.
BATCH = 64
#: Seconds to pause when there is no file descriptor or memory for a connection, or when accepting has failed.
BACKOFF = 0.5
#: Seconds to pause when a connection that waits for a request may soon be closed to make room.
SHORT_BACKOFF = 0.05
#: When there is no file descriptor for a new connection, one in this many open connections is closed. To close only
#: one would not be enough, because requests need file descriptors, too.
EVICTED_PART = 8

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """One listening socket of a worker.

    :param server: the server of the worker
    :param sock: the socket object of Gunicorn
    :param tls: the TLS context; None for plain TCP
    """

    def __init__(self, server: Server, sock: Any, tls: ssl.SSLContext | None) -> None:
        self._server = server
        self._sock = sock
        self._native = sock.sock
        self._tls = tls
        self._batch = 1 if server.cfg.workers > 1 else BATCH
        # On Linux accepted sockets inherit TCP_NODELAY from Gunicorn's listening socket.
        self._set_no_delay = sys.platform != "linux" and self._native.family != _socket.AF_UNIX
        self.environs = Environs(server.cfg, self._native.getsockname(), entries(server))
        self._watcher: Watcher = server.hub.watch_read(self._native.fileno())
        self._accepting = False
        self._closed = False
        #: whether accepting is paused until the end of a backoff
        self._backing_off = False
        #: the number of turns so far
        self._turns = 0

    @property
    def log(self) -> LogQueue:
        """Where to report exceptions."""
        return self._server.log

    def start(self) -> None:
        """Accept connections from now on, or from the end of a backoff on."""
        if not (self._accepting or self._closed or self._backing_off):
            self._watcher.start(self._accept)
            self._accepting = True

    def pause(self) -> None:
        """Accept no connections for now. They wait in the kernel's queue."""
        self._accepting = False
        self._watcher.stop()

    def next_step(self) -> object:
        """Return the number of the next turn, or None if there is no connection to accept, or no room for one."""
        if self._closed or self._server.full or not self._server.hub.is_readable(self._native.fileno()):
            return None
        return self._turns + 1

    def recover(self) -> None:
        """Continue to accept after a backoff."""
        self._back_off(BACKOFF)

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
        """Accept the connections that the kernel has queued, then close the listening socket.

        Otherwise they would be reset if this process is the last one that has the socket.
        """
        self.pause()
        self._closed = True
        queued: list[tuple[int, Any]] = []
        try:
            # At most as many as the queue holds. Otherwise a stream of new clients could keep the worker here for ever.
            while len(queued) < self._server.cfg.backlog:
                queued.append(self._native._accept())
        except OSError:
            pass
        self._sock.close()
        for fd, peer in queued:
            with contained(self):
                self._open(fd, peer)

    def release_after_fork(self) -> None:
        """Close the socket in a forked process."""
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
                    self._back_off(SHORT_BACKOFF)
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
                # There is room now, or the client disconnected while it was in the queue.
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
            # There is no connection that would close the socket.
            if sock is None:
                posix.close(fd)
            else:
                sock.close()
            if not isinstance(error, OSError):
                raise
            self.log.debug("A connection failed before its TLS handshake and was closed: %s", error)
            return
        with contained(connection):
            self._server.opened(connection)

    def _back_off_without_room(self, error: OSError) -> None:
        if self._server.has_waiting:
            self._back_off(SHORT_BACKOFF)
            return
        self._back_off(BACKOFF)
        self.log.warning("Cannot accept connections: %s. Open connections: %s. New clients wait until one is closed. "
                         "Raise the limit on open files, or lower worker_connections.",
                         error, self._server.connection_count)
