"""What a hub must be able to do: the whole of what gworkers needs from an event loop.

A *hub* runs one greenlet of its own in which callbacks are called; every other greenlet gives
control back to it to wait. ``callbacks`` below must never block; they may switch to another
greenlet, which returns control through :meth:`Hub.park`.
"""
from __future__ import annotations

import socket
import ssl
from typing import Any, Callable, NamedTuple, Protocol


class Watcher(Protocol):
    """Readiness of one file descriptor: level-triggered, from start to stop."""

    def start(self, callback: Callable[[], None]) -> object:
        """Call *callback* in the hub whenever the descriptor is ready. Not twice without a stop between."""

    def stop(self) -> object:
        """Call it no more, not even for readiness that is known already. Stopping twice does nothing."""

    @property
    def active(self) -> bool:
        """Whether the hub still watches: false after an exception that has left the callback, too."""


class Greenlet(Protocol):
    """A greenlet whose parent is the hub's own."""

    #: whether it has ended
    dead: bool

    def switch(self, *args: Any) -> Any:
        """Run it until it parks, from the hub's greenlet only."""


class LoopInfo(NamedTuple):
    """What a hub is made of, for humans."""

    #: what waits for descriptors: the loop, and what it asks the kernel with
    backend: str
    #: who looks names up
    resolver: str


class Hub(Protocol):
    """The event loop of one worker process."""

    #: name for humans: library and version
    title: str
    #: the class of the library's own sockets
    socket_class: type[socket.socket]
    #: says whether the application has just told, in the library's own way, that it answered on the socket itself, and
    #: forgets it; None where the library has no such way
    pop_taken_flag: Callable[[], bool] | None

    def loop_info(self) -> LoopInfo:
        """Say what the hub is made of."""

    def watch_read(self, fd: int) -> Watcher:
        """Return a watcher, not yet started, of when *fd* is readable."""

    def watch_write(self, fd: int) -> Watcher:
        """Return a watcher, not yet started, of when *fd* is writable."""

    def call_soon(self, callback: Callable[..., None], *args: Any) -> None:
        """Call *callback* in the hub, behind what is due already, perhaps before it looks for what has become ready."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call *callback* in the hub after *seconds*, once it has looked for what has become ready."""

    def create_greenlet(self, run: Callable[..., None]) -> Greenlet:
        """Return a greenlet that will call *run* with what its first ``switch`` is given."""

    def current_greenlet(self) -> Greenlet:
        """Return the running greenlet."""

    def park(self) -> Any:
        """Give control to the hub until somebody switches back; return what they pass."""

    def yield_to_ready(self) -> None:
        """Let everything else that is ready run first. Not for the hub's own greenlet."""

    def wait_readable(self, fd: int, seconds: float) -> bool:
        """Wait until *fd* is readable; return False after *seconds*. Not for the hub's own greenlet."""

    def shared_lock(self) -> Any:
        """Return a re-entrant lock that greenlets of this process and native threads may share, for a log handler."""

    def is_readable(self, fd: int) -> bool:
        """Return whether *fd* is readable, without waiting."""

    def is_writable(self, fd: int) -> bool:
        """Return whether *fd* is writable, without waiting."""

    def after_fork_in_child(self) -> None:
        """This is a child of the process that the hub belongs to: no more of what it waits for may be shared."""

    def cooperative_socket(self, sock: Any) -> socket.socket:
        """Return a blocking, cooperative socket of the hub's own kind on a duplicate of *sock*."""

    def tls_socket(self, sock: Any, context: ssl.SSLContext, suppress_ragged_eofs: bool) -> ssl.SSLSocket:
        """Return a non-blocking server-side TLS socket of the hub's own kind; *sock* is used up."""
