"""A third hub, on greenlet and ``selectors``, and a worker class on it: ``-k toy_hub.ToyWorker``.

It shows the least that a hub needs. It patches ``time.sleep`` only, so a request that waits in another way blocks it.
"""

from __future__ import annotations

import select
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from types import FrameType
from typing import Any, Callable

from greenlet import getcurrent, greenlet

from gworkers.hubs import HUBS, HubLibrary
from gworkers.hubs.base import CurrentRequest, Greenlet, Hub, LoopInfo, Watcher
from gworkers.worker.green import GreenWorker

HUBS["toy"] = HubLibrary(
    library="greenlet", module=__name__, parts=("time",), patch_record=(__name__, "originals"),
    required_parts={"time": "time"}, master_patch_code="import toy_hub; toy_hub.patch(['all'])")

#: What is patched: the originals by part. Not names of this module, which would be stale references.
originals: dict[str, Callable[[float], None]] = {}
hub: ToyHub | None = None


class ToyWorker(GreenWorker):
    """A worker on the toy hub."""

    hub_name = "toy"


def patch(parts: Sequence[str]) -> None:
    if "time" not in originals and ("all" in parts or "time" in parts):
        originals["time"] = time.sleep
        time.sleep = sleep


def create() -> Hub:
    global hub
    hub = ToyHub()
    return hub


def sleep(seconds: float) -> None:
    """Replace ``time.sleep``."""
    if hub is None or threading.current_thread() is not threading.main_thread():
        originals["time"](seconds)
    else:
        hub.sleep(seconds)


class ToyLock:
    """A lock that is tried again in each turn of the hub."""

    def __init__(self, hub: ToyHub) -> None:
        self._hub = hub
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            self._hub.yield_to_ready()
        self._held = True

    def __exit__(self, *error: object) -> None:
        self._held = False


class ToyWatcher:
    """See :class:`gworkers.hubs.base.Watcher`."""

    def __init__(self, hub: ToyHub, fd: int, event: int) -> None:
        self._hub = hub
        self._key = fd, event
        self.callback: Callable[[], None] | None = None

    def start(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self._hub.watchers[self._key] = self
        self._hub.select(self._key[0])

    def stop(self) -> None:
        if self.active:
            del self._hub.watchers[self._key]
            self._hub.select(self._key[0])
        # No reference cycle with the owner remains.
        self.callback = None

    @property
    def active(self) -> bool:
        return self._hub.watchers.get(self._key) is self


class ToyHub:
    """See :class:`gworkers.hubs.base.Hub`."""

    title = "toy"
    socket_class = socket.socket
    pop_taken_flag: Callable[[], bool] | None = None
    starts_processes_in_threads = True

    def __init__(self) -> None:
        # Its parent is the main greenlet, which gets the exceptions that leave a callback.
        self._greenlet = greenlet(self._run)
        #: the started watchers by file descriptor and event
        self.watchers: dict[tuple[int, int], ToyWatcher] = {}
        self._selector = selectors.DefaultSelector()
        self._due: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        #: a heap of times, numbers that make them unique, and callbacks
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def _run(self) -> None:
        while True:
            seconds = None
            if self._due:
                seconds = 0.0
            elif self._timers:
                seconds = max(0.0, self._timers[0][0] - time.monotonic())
            for key, events in self._selector.select(seconds):
                for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
                    # An earlier callback may have stopped it.
                    watcher = self.watchers.get((key.fd, event))
                    if events & event and watcher is not None and watcher.callback is not None:
                        watcher.callback()
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                self._due.append((heappop(self._timers)[2], ()))
            # Only those that are due now, because a callback may add another one each time.
            for _ in range(len(self._due)):
                callback, args = self._due.popleft()
                callback(*args)

    def select(self, fd: int) -> None:
        """Select *fd* for the events that started watchers wait for."""
        events = sum(event for event in (selectors.EVENT_READ, selectors.EVENT_WRITE) if (fd, event) in self.watchers)
        if not events:
            self._selector.unregister(fd)
        elif fd in self._selector.get_map():
            self._selector.modify(fd, events)
        else:
            self._selector.register(fd, events)

    def loop_info(self) -> LoopInfo:
        return LoopInfo(type(self._selector).__name__, "C library (blocks the hub)")

    def environ_entries(self, request: CurrentRequest) -> dict[str, object]:
        return {}

    def adapt_application(self, application: Callable[..., Any]) -> None:
        return None

    def watch_read(self, fd: int) -> Watcher:
        return ToyWatcher(self, fd, selectors.EVENT_READ)

    def watch_write(self, fd: int) -> Watcher:
        return ToyWatcher(self, fd, selectors.EVENT_WRITE)

    def call_soon(self, callback: Callable[..., None], *args: Any) -> None:
        self._due.append((callback, args))

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), callback))

    def create_greenlet(self, run: Callable[..., None]) -> Greenlet:
        return greenlet(run, self._greenlet)

    def current_greenlet(self) -> Greenlet:
        return getcurrent()

    def park(self) -> Any:
        if getcurrent() is self._greenlet:
            raise RuntimeError("the hub cannot wait for itself")
        return self._greenlet.switch()

    def sleep(self, seconds: float) -> None:
        self.call_later(seconds, self._wake_up(None))
        self.park()

    def _wake_up(self, value: object) -> Callable[[], None]:
        """Return a callback that switches to the current greenlet."""
        waiting = getcurrent()

        def wake_up() -> None:
            waiting.switch(value)

        return wake_up

    def yield_to_ready(self) -> None:
        self.sleep(0)

    def wait_readable(self, fd: int, seconds: float) -> bool:
        timer = time.monotonic() + seconds, next(self._numbers), self._wake_up(False)
        heappush(self._timers, timer)
        watcher = self.watch_read(fd)
        watcher.start(self._wake_up(True))
        try:
            readable: bool = self.park()
        finally:
            watcher.stop()
        if readable and timer in self._timers:
            self._timers.remove(timer)
            heapify(self._timers)
        return readable

    def green_lock(self) -> Any:
        return ToyLock(self)

    def shared_lock(self) -> Any:
        return threading.RLock()

    def poll(self, fd: int, events: int) -> int:
        poll = select.poll()
        poll.register(fd, events)
        return sum(found for _, found in poll.poll(0))

    def is_readable(self, fd: int) -> bool:
        return is_ready(fd, select.POLLIN)

    def is_writable(self, fd: int) -> bool:
        return is_ready(fd, select.POLLOUT)

    def start_thread(self, run: Callable[[], None]) -> None:
        threading.Thread(target=run, daemon=True).start()

    def native_thread_id(self) -> int:
        return threading.get_ident()

    def native_lock(self) -> Any:
        return threading.Lock()

    def native_epoll(self) -> Any:
        return None

    def native_poll(self) -> Any:
        return select.poll()

    def share_locks(self) -> None:
        # It patches nothing.
        pass

    def thread_selector(self) -> selectors.BaseSelector:
        return selectors.DefaultSelector()

    def is_polling(self, frame: FrameType) -> bool:
        return frame.f_globals.get("__name__") == "selectors"

    def after_fork_in_child(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._due.clear()
        self._timers.clear()
        for fd in {fd for fd, _ in self.watchers}:
            self.select(fd)

    def cooperative_socket(self, sock: Any) -> socket.socket:
        # Not cooperative: this hub does not patch sockets.
        native = socket.fromfd(sock.fileno(), sock.family, sock.type, sock.proto)
        native.setblocking(True)
        return native

    def tls_socket(self, sock: Any, context: ssl.SSLContext, suppress_ragged_eofs: bool) -> ssl.SSLSocket:
        own = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
        own.setblocking(False)
        return context.wrap_socket(own, server_side=True, do_handshake_on_connect=False,
                                   suppress_ragged_eofs=suppress_ragged_eofs)


def is_ready(fd: int, events: int) -> bool:
    poll = select.poll()
    poll.register(fd, events)
    return bool(poll.poll(0))
