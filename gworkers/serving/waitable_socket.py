"""A non-blocking socket, and the greenlets that wait for it."""
from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from time import monotonic
from typing import TYPE_CHECKING, Any

from gworkers.errors import ClientDisconnected, ClientTimeout
from gworkers.hubs.guard import hub_callback

if TYPE_CHECKING:
    from gworkers.http1.client_connection import TimeLimit
    from gworkers.hubs.base import Greenlet, Watcher
    from gworkers.logs.queue import LogQueue
    from gworkers.serving.server import Server


class WakeUp(Enum):
    """Why a greenlet that waits for a socket is resumed."""

    SOCKET_READY = "socket ready"
    TIMED_OUT = "timed out"
    #: the connection was closed, or its request is over
    CANCELLED = "cancelled"


SOCKET_READY, TIMED_OUT, CANCELLED = WakeUp


class WaitableSocket(ABC):
    """A non-blocking socket. One greenlet at a time may wait to read, and one to write, each within a time limit.

    :param server: the server of the worker
    :param sock: the non-blocking socket
    """

    __slots__ = ("_flushing", "_reading", "_slice_end", "_watcher", "_watching", "_write_watcher", "_writing", "server",
                 "sock")

    def __init__(self, server: Server, sock: Any) -> None:
        self.server = server
        self.sock = sock
        self._watcher: Watcher = server.hub.watch_read(sock.fileno())
        #: whether the watcher is started
        self._watching = False
        self._write_watcher: Watcher | None = None
        #: the greenlet that waits to read, and the one that waits to write
        self._reading: Greenlet | None = None
        self._writing: Greenlet | None = None
        #: whether :meth:`flush` is called when the socket is writable
        self._flushing = False
        #: when the request has to yield; 0 before the first call of :meth:`yield_if_due` and after a wait
        self._slice_end = 0.0

    @property
    def log(self) -> LogQueue:
        """Where to report exceptions."""
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
        """Called when the socket is readable and the watcher is started."""

    @abstractmethod
    def flush(self) -> None:
        """Called when the socket is writable and no greenlet waits for that."""

    @abstractmethod
    def _abort_flush(self, error: OSError) -> None:
        """Discard what :meth:`flush` was to send."""

    def yield_if_due(self) -> None:
        """Let other requests run if this one has run for its ``time_slice``."""
        now = monotonic()
        if not self._slice_end:
            self._slice_end = now + self.server.time_slice
        elif now > self._slice_end:
            self.server.hub.yield_to_ready()
            self._slice_end = monotonic() + self.server.time_slice

    def _wait_readable(self, limit: TimeLimit) -> None:
        if self._reading is not None:
            raise RuntimeError("another greenlet is reading from this connection; only one may read at a time")
        self._reading = self.server.hub.current_greenlet()
        try:
            self._watch()
            self._wait_until(limit, "the client did not send more of its request body in time")
        finally:
            self._reading = None

    def _wait_writable(self) -> None:
        if self._writing is not None or self._flushing:
            raise RuntimeError("another greenlet is sending on this connection; only one may send at a time")
        self._writing = self.server.hub.current_greenlet()
        try:
            self._watch_write()
            self._wait_until(self.server.write, "the client did not read more of the response in time")
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

    def _wait_until(self, limit: TimeLimit, message: str) -> None:
        limit.start(self)
        try:
            outcome = self.server.hub.park()
        finally:
            limit.stop(self)
        if outcome is TIMED_OUT:
            raise ClientTimeout(message)
        if outcome is CANCELLED:
            raise ClientDisconnected("the connection was closed")
        self._slice_end = 0.0

    @property
    def awaited(self) -> bool:
        """Whether a greenlet waits for the peer."""
        return self._reading is not None or self._writing is not None

    def _cancel_waits(self) -> None:
        """End all waits for the peer. The greenlets get an error."""
        if self.awaited:
            # Only the hub's greenlet may switch to them.
            self.server.hub.call_soon(self._resume_cancelled)

    @hub_callback
    def _resume_cancelled(self) -> None:
        if self._reading is not None:
            self._reading.switch(CANCELLED)
        if self._writing is not None:
            self._writing.switch(CANCELLED)

    @hub_callback
    def _writable(self) -> None:
        if self._writing is not None:
            self._writing.switch(SOCKET_READY)
        else:
            self.flush()

    def body_late(self) -> None:
        """End a wait for the peer that has lasted longer than ``body_timeout``. The greenlet gets an error."""
        if self._reading is not None:
            self._reading.switch(TIMED_OUT)

    def write_late(self) -> None:
        """Abort the response, because the client has read no byte of it for longer than ``write_timeout``."""
        if self._writing is not None:
            self._writing.switch(TIMED_OUT)
        elif self._flushing:
            self._abort_flush(ClientTimeout("the client did not read more of the response in time"))
