"""The protocol of a hub: everything that gworkers requires of an event loop.

A *hub* has one greenlet of its own, which runs callbacks. All other greenlets switch to it to wait. A
callback must never block. It may switch to another greenlet, which switches back with :meth:`Hub.park`.

- The hub runs from the first wait of the main greenlet on. Callbacks may be scheduled before that.
- All methods are called in one native thread, except :meth:`Hub.is_writable`, :meth:`Hub.is_polling`,
  :meth:`Hub.start_thread`, :meth:`Hub.native_poll` and :meth:`Hub.share_locks`, which any thread may call.
- If an exception leaves a callback, the hub either continues or passes the exception to the main greenlet, which ends
  the worker. It always passes a SystemExit on: SIGABRT raises one in the greenlet that runs at that moment.
- A wait in the hub's greenlet raises an exception.
- At most one read watcher and one write watcher of a file descriptor are started at the same time. They are stopped
  before gworkers closes the file descriptor.
"""
from __future__ import annotations

import selectors
import socket
import ssl
from collections.abc import Mapping
from types import FrameType
from typing import Any, Callable, NamedTuple, Protocol


class Watcher(Protocol):
    """Watches the readiness of one file descriptor, level-triggered, from start to stop."""

    def start(self, callback: Callable[[], None]) -> object:
        """Call *callback* in the hub each time the file descriptor is ready. Call :meth:`stop` before a new start."""

    def stop(self) -> object:
        """End the calls, even if one is due because the file descriptor is ready. A second ``stop`` has no effect."""

    @property
    def active(self) -> bool:
        """Whether the hub still watches. It may stop by itself when the callback raises an exception."""


class Greenlet(Protocol):
    """A greenlet whose parent is the greenlet of the hub: an exception that leaves it is raised there."""

    #: whether it has ended
    dead: bool

    def switch(self, *args: Any) -> Any:
        """Run it until it parks or ends. Its :meth:`Hub.park` returns the argument. Call this in the hub only."""

    def throw(self, error: BaseException) -> Any:
        """Raise *error* where it waits, and run it until it parks or ends. Call this in the hub only."""


class LoopInfo(NamedTuple):
    """Descriptions of the parts of a hub, for reports."""

    #: the loop and the system call that it waits with
    backend: str
    #: the implementation of name lookups
    resolver: str


class CurrentRequest(Protocol):
    """The request that the calling greenlet serves. All members raise RuntimeError if it serves none."""

    @property
    def environ(self) -> Mapping[str, Any]:
        """Its environ."""

    @property
    def body(self) -> Any:
        """The value of ``wsgi.input``."""

    @property
    def socket(self) -> Any:
        """The value of ``gunicorn.socket``."""

    def call_after(self, callback: Callable[[], object]) -> None:
        """Call *callback* in the greenlet of the request when the response is sent."""

    def end_in_drain(self) -> None:
        """Disconnect the client when a drain begins, instead of waiting for the request."""


class Hub(Protocol):
    """The event loop of one worker process."""

    #: display name: library and version
    title: str
    #: the socket class of the library
    socket_class: type[socket.socket]
    #: returns and resets the library's flag, which shows that the application has sent its response on the socket
    #: itself; None if the library has no such flag
    pop_taken_flag: Callable[[], bool] | None
    #: whether the patched ``subprocess.Popen`` works in other native threads than that of the hub
    starts_processes_in_threads: bool

    def loop_info(self) -> LoopInfo:
        """Describe the parts of the hub."""

    def environ_entries(self, request: CurrentRequest) -> dict[str, object]:
        """Return the entries that the library's own WSGI server has in each environ, and Gunicorn's has not.

        The same objects are in all environs, and act on *request*.
        """

    def adapt_application(self, application: Callable[..., Any]) -> Callable[..., Any] | None:
        """Return *application* for requests that ask for another protocol; None if it is to be called as it is."""

    def watch_read(self, fd: int) -> Watcher:
        """Return a watcher for the readability of *fd*, not started yet."""

    def watch_write(self, fd: int) -> Watcher:
        """Return a watcher for the writability of *fd*, not started yet."""

    def call_soon(self, callback: Callable[..., None], *args: Any) -> None:
        """Call *callback* in the hub, after the callbacks that are due, perhaps before the next poll.

        A hub must poll now and then although callbacks add further ones.
        """

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call *callback* in the hub after *seconds*, which may be 0, and at least one poll. It cannot be cancelled."""

    def create_greenlet(self, run: Callable[..., None]) -> Greenlet:
        """Return a greenlet whose first ``switch`` calls *run* with its arguments."""

    def current_greenlet(self) -> Greenlet:
        """Return the running greenlet."""

    def park(self) -> Any:
        """Switch to the hub until another greenlet or callback switches back. Return the value that it passes."""

    def yield_to_ready(self) -> None:
        """Poll, and let everything else that is ready run first. Do not call this in the hub."""

    def wait_readable(self, fd: int, seconds: float) -> bool:
        """Wait until *fd* is readable. Return False after *seconds*. Do not call this in the hub."""

    def green_lock(self) -> Any:
        """Return a lock for greenlets, which is not re-entrant. Only a greenlet that acquires it may wait."""

    def shared_lock(self) -> Any:
        """Return a re-entrant lock for log handlers, usable by both the greenlets and the native threads."""

    def poll(self, fd: int, events: int) -> int:
        """Return those of *events*, and of POLLHUP, POLLERR and POLLNVAL, that *fd* has, without waiting."""

    def is_readable(self, fd: int) -> bool:
        """Return whether *fd* is readable, without waiting. A watcher of *fd* may be started."""

    def is_writable(self, fd: int) -> bool:
        """Return whether *fd* is writable, without waiting. A native thread that logs calls this, too."""

    def start_thread(self, run: Callable[[], None]) -> None:
        """Call *run* in a native thread, which does not keep the process alive and does not wait on a hub."""

    def native_thread_id(self) -> int:
        """Return the identifier of the current native thread, as :func:`sys._current_frames` uses it."""

    def native_lock(self) -> Any:
        """Return a lock that blocks the native thread which waits for it."""

    def native_poll(self) -> Any:
        """Return a ``select.poll`` object that blocks the native thread."""

    def native_epoll(self) -> Any:
        """Return a ``select.epoll`` object; None where the system has none."""

    def share_locks(self) -> None:
        """Let the current thread share patched locks with other threads that have called this.

        The thread of the hub calls it first. Then any native thread may call it.
        """

    def thread_selector(self) -> selectors.BaseSelector:
        """Return a selector for an asyncio loop in another native thread.

        Greenlets that the patch makes of threads, if they are started in that thread, run while it waits.
        """

    def is_polling(self, frame: FrameType) -> bool:
        """Whether *frame*, the innermost one of the hub's thread, is that of a poll. Any thread may call this."""

    def after_fork_in_child(self) -> None:
        """Stop sharing timers and file descriptors with the parent. Call this in a forked child process.

        The watchers of the parent are stopped afterwards. The hub continues for the greenlets of the application.
        """

    def cooperative_socket(self, sock: Any) -> socket.socket:
        """Return a blocking socket of class :attr:`socket_class` on a duplicate of the file descriptor of *sock*."""

    def tls_socket(self, sock: Any, context: ssl.SSLContext, suppress_ragged_eofs: bool) -> ssl.SSLSocket:
        """Return a non-blocking server-side TLS socket of the library. *sock* is detached."""
