"""The hub on eventlet. No other module imports eventlet."""
from __future__ import annotations

import importlib.util
import os
import socket
import ssl
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from select import POLLIN, POLLOUT
from types import FrameType
from typing import Any, Callable

import eventlet
import eventlet.corolocal
import eventlet.green.socket
import eventlet.greenio
import eventlet.hubs
import eventlet.lock
import eventlet.patcher
import eventlet.semaphore
from greenlet import getcurrent, greenlet

from gworkers.hubs.base import CurrentRequest, Hub, LoopInfo, Watcher
from gworkers.hubs.eventlet_environ import entries
from gworkers.hubs.eventlet_locals import use_values_of_current_greenlet
from gworkers.hubs.eventlet_threads import SharedLock, SharedSemaphores
from gworkers.hubs.thread_selector import ThreadSelector


def patch(parts: Sequence[str]) -> None:
    """Patch *parts* of the standard library. A second call, in a worker of a patched master, has no effect."""
    eventlet.corolocal._patch = use_values_of_current_greenlet
    with _defaults_of_threading():
        if "all" in parts:
            eventlet.monkey_patch()
        elif parts:
            eventlet.monkey_patch(**dict.fromkeys(parts, True))


@contextmanager
def _defaults_of_threading() -> Iterator[None]:
    """Hide a lock that is a default argument of a method of ``threading`` since Python 3.14 while eventlet patches.

    eventlet replaces the locks that it finds in modules and objects. If one is left, eventlet logs an error in each
    worker and advises to patch earlier, which would not help.
    """
    method: Any = getattr(getattr(threading, "_DeleteDummyThreadOnDel", None), "__del__", None)
    names = method.__code__.co_varnames[1:method.__code__.co_argcount] if method is not None else ()
    if not all(hasattr(threading, name) for name in names):
        names = ()
    if names:
        # The method runs when a thread that Python did not start ends. There is none yet.
        method.__defaults__ = None
    yield
    if names:
        # Each default is the attribute of the same name in the module.
        method.__defaults__ = tuple(getattr(threading, name) for name in names)


def create() -> Hub:
    """Return a new hub for this process, because processes must not share an epoll file descriptor."""
    eventlet.hubs.use_hub()
    return EventletHub()


class EventletHub:
    """See :class:`gworkers.hubs.base.Hub`."""

    def __init__(self) -> None:
        self._hub = eventlet.hubs.get_hub()
        self.title = f"eventlet {eventlet.__version__}"
        self.pop_taken_flag: Callable[[], bool] | None = self._pop_taken_flag
        self.starts_processes_in_threads = True
        self.socket_class = eventlet.greenio.GreenSocket
        self.park = self._hub.switch
        self._semaphores: SharedSemaphores | None = None
        self.current_greenlet = getcurrent

    def loop_info(self) -> LoopInfo:
        # For example eventlet.hubs.epolls. eventlet uses greendns if dnspython is installed and greendns is not turned
        # off.
        backend = type(self._hub).__module__.rpartition(".")[2]
        greendns = eventlet.green.socket.getaddrinfo.__module__.endswith("greendns")
        return LoopInfo(backend, "greendns" if greendns else "C library (blocks the hub)")

    def environ_entries(self, request: CurrentRequest) -> dict[str, object]:
        return entries(request)

    def adapt_application(self, application: Callable[..., Any]) -> None:
        return None

    def watch_read(self, fd: int) -> Watcher:
        # The application may have closed a file descriptor of the same number while a greenlet waited for it.
        # eventlet keeps that listener until this call.
        self._hub.mark_as_reopened(fd)
        return EventletWatcher(self._hub, self._hub.READ, fd)

    def watch_write(self, fd: int) -> Watcher:
        return EventletWatcher(self._hub, self._hub.WRITE, fd)

    def call_soon(self, callback: Callable[..., None], *args: Any) -> None:
        self._hub.schedule_call_global(0, callback, *args)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self._hub.schedule_call_global(seconds, callback)

    def create_greenlet(self, run: Callable[..., None]) -> greenlet:
        self._hub.ensure_greenlet()
        return greenlet(run, self._hub.greenlet)

    def yield_to_ready(self) -> None:
        eventlet.sleep(0)

    def wait_readable(self, fd: int, seconds: float) -> bool:
        try:
            eventlet.hubs.trampoline(fd, read=True, timeout=seconds, timeout_exc=TimeoutError)
        except TimeoutError:
            return False
        return True

    def green_lock(self) -> Any:
        return eventlet.semaphore.BoundedSemaphore()

    def shared_lock(self) -> Any:
        return SharedLock(eventlet)

    def poll(self, fd: int, events: int) -> int:
        poll = self.native_poll()
        poll.register(fd, events)
        return sum(found for _, found in poll.poll(0))

    def is_readable(self, fd: int) -> bool:
        return bool(self.poll(fd, POLLIN))

    def is_writable(self, fd: int) -> bool:
        return bool(self.poll(fd, POLLOUT))

    def start_thread(self, run: Callable[[], None]) -> None:
        eventlet.patcher.original("_thread").start_new_thread(run, ())

    def native_thread_id(self) -> int:
        return eventlet.patcher.original("threading").get_ident()  # type: ignore[no-any-return]

    def native_lock(self) -> Any:
        return eventlet.patcher.original("threading").Lock()

    def native_poll(self) -> Any:
        return eventlet.patcher.original("select").poll()

    def native_epoll(self) -> Any:
        return eventlet.patcher.original("select").epoll() if sys.platform == "linux" else None

    def share_locks(self) -> None:
        if self._semaphores is None:
            self._semaphores = SharedSemaphores(eventlet)
        self._semaphores.enter()

    def thread_selector(self) -> ThreadSelector:
        return ThreadSelector(_unpatched_selectors().DefaultSelector(), self.wait_readable)

    def is_polling(self, frame: FrameType) -> bool:
        return bool(frame.f_globals.get("__name__", "").startswith("eventlet.hubs."))

    def after_fork_in_child(self) -> None:
        if type(self._hub).__module__ == "eventlet.hubs.epolls":
            # An epoll instance is shared with the parent, unlike the other kinds.
            self._hub.poll = eventlet.patcher.original("select").epoll()
        # Timers of greenlets that sleep belong to the parent.
        self._hub.timers.clear()
        self._hub.next_timers.clear()

    def cooperative_socket(self, sock: Any) -> socket.socket:
        native = eventlet.patcher.original("socket").socket
        return eventlet.greenio.GreenSocket(  # type: ignore[no-any-return]
            native(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno())))

    def tls_socket(self, sock: Any, context: ssl.SSLContext, suppress_ragged_eofs: bool) -> ssl.SSLSocket:
        native = eventlet.patcher.original("socket").socket
        own = native(sock.family, sock.type, sock.proto, fileno=sock.detach())
        own.setblocking(False)
        wrapped = context.wrap_socket(own, server_side=True, do_handshake_on_connect=False,
                                      suppress_ragged_eofs=suppress_ragged_eofs)
        wrapped.setblocking(False)
        return wrapped

    def _pop_taken_flag(self) -> bool:
        wsgi = sys.modules.get("eventlet.wsgi")
        if wsgi is None or not getattr(wsgi.WSGI_LOCAL, "already_handled", False):
            return False
        # The flag belongs to the greenlet, which serves other requests later.
        wsgi.WSGI_LOCAL.already_handled = False
        return True


@cache
def _unpatched_selectors() -> Any:
    """Return a copy of the module :mod:`selectors` that uses the original :mod:`select`.

    ``eventlet.patcher.original("selectors")`` uses the patched one.
    """
    spec = importlib.util.find_spec("selectors")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    patched = sys.modules["select"]
    sys.modules["select"] = eventlet.patcher.original("select")
    try:
        spec.loader.exec_module(module)
    finally:
        sys.modules["select"] = patched
    return module


class EventletWatcher:
    """See :class:`gworkers.hubs.base.Watcher`."""

    __slots__ = ("_callback", "_event", "_fd", "_hub", "_listener")

    def __init__(self, hub: Any, event: str, fd: int) -> None:
        self._hub = hub
        self._event = event
        self._fd = fd
        self._listener: Any = None
        self._callback: Callable[[], None] | None = None

    def start(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._listener = self._hub.add(self._event, self._fd, self._ready, _ignore, _ignore)

    def stop(self) -> None:
        if self._listener is not None:
            self._hub.remove(self._listener)
            # Break the reference cycle with the owner of this watcher, so that no garbage collection is needed.
            self._listener = self._callback = None

    @property
    def active(self) -> bool:
        return self._listener is not None and self._hub.listeners[self._event].get(self._fd) is self._listener

    def _ready(self, fd: int) -> None:
        # eventlet calls all listeners of one poll, even those that an earlier listener has stopped.
        if self._callback is not None:
            self._callback()


def _ignore(*args: object) -> None:
    """Do nothing. Used for the throw and close callbacks, because no greenlet waits on the listener."""
