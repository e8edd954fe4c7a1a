"""The hub on gevent. No other module imports gevent."""
from __future__ import annotations

import os
import socket
import ssl
import sys
import threading
import warnings
from collections.abc import Sequence
from functools import partial
from select import POLLIN, POLLOUT
from types import FrameType
from typing import Any, Callable

import gevent
import gevent.hub
import gevent.lock
import gevent.monkey
import gevent.socket
import gevent.ssl
from greenlet import getcurrent, greenlet

from gworkers.hubs import HUBS
from gworkers.hubs.base import CurrentRequest, Hub, LoopInfo, Watcher
from gworkers.hubs.gevent_websocket import with_websockets
from gworkers.hubs.thread_selector import ThreadSelector

READ, WRITE = 1, 2

#: The modules of the loops that are written in Python.
LOOP_MODULES = frozenset(("gevent._ffi.loop", "gevent.libev.corecffi", "gevent.libuv.loop"))


def patch(parts: Sequence[str]) -> None:
    """Patch *parts* of the standard library. A second call, in a worker of a patched master, has no effect."""
    # The hub is created first, because that may fail, and a patched process without a hub ends with a traceback.
    gevent.hub.get_hub()
    with warnings.catch_warnings():
        # gworkers itself reports modules that were imported too early, with their importers.
        warnings.simplefilter("ignore", gevent.monkey.MonkeyPatchWarning)
        if "all" in parts:
            gevent.monkey.patch_all()
        else:
            gevent.monkey.patch_all(**{part: part in parts for part in HUBS["gevent"].parts})


def create() -> Hub:
    """Return the hub of this process. The loop that was inherited from a patched master is replaced."""
    gevent.reinit()
    return GeventHub()


class GeventHub:
    """See :class:`gworkers.hubs.base.Hub`."""

    def __init__(self) -> None:
        self._hub = gevent.hub.get_hub()
        self._loop = self._hub.loop
        # Load the resolver now: gevent would load it in the first request that needs it, and an invalid
        # GEVENT_RESOLVER would fail there.
        self._resolver = self._hub.resolver_class.__module__.rpartition(".")[2]
        self.title = f"gevent {gevent.__version__}"
        self.pop_taken_flag: Callable[[], bool] | None = None
        # gevent watches child processes in the main thread only.
        self.starts_processes_in_threads = False
        self.socket_class = gevent.socket.socket
        self.call_soon = self._loop.run_callback
        # Not Hub.switch(), which calls hooks that exist on gevent's greenlets, but not on plain ones.
        self.park = partial(greenlet.switch, self._hub)
        self.current_greenlet = getcurrent

    def loop_info(self) -> LoopInfo:
        # For example gevent.libev.corecext or gevent.libuv.loop.
        library = type(self._loop).__module__.split(".")[1]
        return LoopInfo(f"{library} ({self._loop.backend})", self._resolver)

    def environ_entries(self, request: CurrentRequest) -> dict[str, object]:
        # Gunicorn has the only one, wsgi.input_terminated.
        return {}

    def adapt_application(self, application: Callable[..., Any]) -> Callable[..., Any] | None:
        return with_websockets(application)

    def watch_read(self, fd: int) -> Watcher:
        return self._loop.io(fd, READ)  # type: ignore[no-any-return]

    def watch_write(self, fd: int) -> Watcher:
        return self._loop.io(fd, WRITE)  # type: ignore[no-any-return]

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        timer = self._loop.timer(seconds)
        timer.start(callback)

    def create_greenlet(self, run: Callable[..., None]) -> greenlet:
        return greenlet(run, self._hub)

    def yield_to_ready(self) -> None:
        # Not gevent.sleep(0): the loop may run up to fifty callbacks before it polls.
        timer = self._loop.timer(0)
        try:
            self._hub.wait(timer)
        finally:
            timer.close()

    def wait_readable(self, fd: int, seconds: float) -> bool:
        try:
            # Before Python 3.10 gevent's default exception is not a TimeoutError.
            gevent.socket.wait_read(fd, timeout=seconds, timeout_exc=TimeoutError)
        except TimeoutError:
            return False
        return True

    def green_lock(self) -> Any:
        return gevent.lock.BoundedSemaphore()

    def shared_lock(self) -> Any:
        # A lock of gevent, if it has patched the threading module.
        return threading.RLock()

    def poll(self, fd: int, events: int) -> int:
        poll = self.native_poll()
        poll.register(fd, events)
        return sum(found for _, found in poll.poll(0))

    def is_readable(self, fd: int) -> bool:
        return bool(self.poll(fd, POLLIN))

    def is_writable(self, fd: int) -> bool:
        return bool(self.poll(fd, POLLOUT))

    def start_thread(self, run: Callable[[], None]) -> None:
        gevent.monkey.get_original("_thread", "start_new_thread")(run, ())

    def native_thread_id(self) -> int:
        return gevent.monkey.get_original("_thread", "get_ident")()  # type: ignore[no-any-return]

    def native_lock(self) -> Any:
        return gevent.monkey.get_original("_thread", "allocate_lock")()

    def native_poll(self) -> Any:
        return gevent.monkey.get_original("select", "poll")()

    def native_epoll(self) -> Any:
        return gevent.monkey.get_original("select", "epoll")() if sys.platform == "linux" else None

    def share_locks(self) -> None:
        # All threads may share gevent's locks.
        pass

    def thread_selector(self) -> ThreadSelector:
        return ThreadSelector(gevent.monkey.get_original("selectors", "DefaultSelector")(), self.wait_readable)

    def is_polling(self, frame: FrameType) -> bool:
        # libev's loop is an extension module, which has no frame of its own. Other loops are Python modules.
        return frame.f_code is gevent.hub.Hub.run.__code__ or frame.f_globals.get("__name__") in LOOP_MODULES

    def after_fork_in_child(self) -> None:
        # gevent's os.fork() reinitializes the loop after this call, if "os" is patched.
        pass

    def cooperative_socket(self, sock: Any) -> socket.socket:
        return gevent.socket.socket(  # type: ignore[no-any-return]
            sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))

    def tls_socket(self, sock: Any, context: ssl.SSLContext, suppress_ragged_eofs: bool) -> ssl.SSLSocket:
        own = gevent.socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
        own.setblocking(False)
        return context.wrap_socket(own, server_side=True, do_handshake_on_connect=False,
                                   suppress_ragged_eofs=suppress_ragged_eofs)
