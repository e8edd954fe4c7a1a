"""Locks of eventlet that several native threads share.

:class:`SharedLock` is for the greenlets of one hub, and threads that have no hub. With :class:`SharedSemaphores` each
thread has one.

eventlet's semaphores, which the patched module ``threading`` is made of, resume a waiting greenlet in the thread that
releases, which fails if the greenlet belongs to another thread. The methods of SharedSemaphores replace theirs.
"""
from __future__ import annotations

import os
import posix
from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from greenlet import getcurrent


class HubCalls:
    """Calls functions in *hub*, the hub of the thread that creates it."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._functions: deque[Callable[[], object]] = deque()
        #: whether a byte in the pipe will wake up the hub
        self._woken = False
        self._pipe = posix.pipe()
        for fd in self._pipe:
            os.set_blocking(fd, False)
        hub.add(hub.READ, self._pipe[0], self._schedule, _ignore, _ignore)

    def call(self, function: Callable[[], object]) -> None:
        """Call *function* in the hub. Any thread may call this."""
        self._functions.append(function)
        if not self._woken:
            self._woken = True
            posix.write(self._pipe[1], b".")

    def _schedule(self, fd: int) -> None:
        posix.read(fd, 512)
        # Before the functions are taken: a thread that adds one from now on writes to the pipe again.
        self._woken = False
        while self._functions:
            # Not called here: a greenlet that is resumed may raise an exception of the application, at which the hub
            # would remove the pipe.
            self._hub.schedule_call_global(0, self._functions.popleft())

    def release_after_fork(self) -> None:
        """Close the file descriptors in a forked process."""
        for fd in self._pipe:
            posix.close(fd)


def _ignore(*args: object) -> None:
    """Do nothing. Used for the throw and close callbacks, because no greenlet waits on the listener."""


class Waiter:
    """The current greenlet, which waits for a semaphore in *hub*."""

    def __init__(self, hub: Any) -> None:
        self.greenlet = getcurrent()
        self.hub = hub
        #: whether the semaphore was passed to it
        self.has_it = False
        #: whether it still waits; a timeout may end that after the semaphore was passed to it
        self.waits = True

    def resume(self) -> None:
        """Continue, in the thread of the greenlet."""
        if self.waits:
            self.greenlet.switch()


class SharedSemaphores:
    """Makes all semaphores usable by the threads that have called :meth:`enter`.

    :param eventlet: the package
    """

    def __init__(self, eventlet: Any) -> None:
        self._current_hub = eventlet.hubs.get_hub
        self._timeout = eventlet.Timeout
        semaphore_class = eventlet.semaphore.Semaphore
        # Re-entrant, because a finalizer may run at any point.
        self._new_guard = eventlet.patcher.original("threading").RLock
        self._guard = self._new_guard()
        self._calls: dict[Any, HubCalls] = {}
        self._first_hub = self._current_hub()
        semaphore_class.acquire = lambda *args, **options: self._acquire(*args, **options)
        semaphore_class.release = lambda semaphore, blocking=True: self._release(semaphore)
        # It does not call the method of its base class.
        eventlet.lock.Lock.release = lambda lock, blocking=True: self._release_lock(lock)
        # It may be scheduled already.
        semaphore_class._do_acquire = lambda semaphore: self._resume_original(semaphore)
        os.register_at_fork(after_in_child=self._release_after_fork)

    def enter(self) -> None:
        """Let the current thread share semaphores."""
        hub = self._current_hub()
        if hub not in self._calls:
            self._calls[hub] = HubCalls(hub)

    def _release_after_fork(self) -> None:
        # Another thread may have had it.
        self._guard = self._new_guard()
        for calls in self._calls.values():
            calls.release_after_fork()
        self._calls.clear()

    def _acquire(self, semaphore: Any, blocking: bool = True, timeout: float | None = None) -> bool:
        if timeout == -1:
            timeout = None
        if timeout is not None and (timeout < 0 or not blocking):
            raise ValueError("timeout must not be negative, and needs a blocking call")
        with self._guard:
            if semaphore.counter > 0 and not semaphore._waiters:
                semaphore.counter -= 1
                return True
            if not blocking or timeout == 0:
                return False
            waiter = Waiter(self._current_hub())
            semaphore._waiters.append(waiter)
        try:
            with self._timeout(timeout, False):
                while not waiter.has_it:
                    waiter.hub.switch()
        except BaseException:
            if not self._stop_waiting(semaphore, waiter):
                self._release(semaphore)
            raise
        finally:
            waiter.waits = False
        return not self._stop_waiting(semaphore, waiter)

    def _stop_waiting(self, semaphore: Any, waiter: Waiter) -> bool:
        """Remove *waiter* if it does not have *semaphore*. Return whether it was removed."""
        with self._guard:
            if waiter.has_it:
                return False
            semaphore._waiters.remove(waiter)
            return True

    def _release(self, semaphore: Any) -> bool:
        with self._guard:
            semaphore.counter += 1
        self._pass_on(semaphore)
        return True

    def _release_lock(self, lock: Any) -> bool:
        if lock.counter > 0:
            raise RuntimeError("release unlocked lock")
        return self._release(lock)

    def _pass_on(self, semaphore: Any) -> None:
        """Give *semaphore* to the first greenlet that waits for it, if it is free."""
        with self._guard:
            if not semaphore._waiters or semaphore.counter <= 0:
                return
            first = semaphore._waiters[0]
            if isinstance(first, Waiter):
                semaphore._waiters.popleft()
                semaphore.counter -= 1
                first.has_it = True
        if isinstance(first, Waiter):
            self._call_in(first.hub, first.resume)
        else:
            # It waits in the original method since before this object existed, and in the thread that created it.
            self._call_in(self._first_hub, lambda: self._resume_original(semaphore))

    def _resume_original(self, semaphore: Any) -> None:
        if semaphore.counter > 0 and semaphore._waiters and not isinstance(semaphore._waiters[0], Waiter):
            semaphore._waiters.popleft().switch()
        else:
            self._pass_on(semaphore)

    def _call_in(self, hub: Any, function: Callable[[], object]) -> None:
        calls = self._calls.get(hub)
        if hub is self._current_hub() or calls is None:
            hub.schedule_call_global(0, function)
        else:
            calls.call(function)


class SharedLock:
    """A re-entrant lock for greenlets and native threads.

    eventlet's locks wake no greenlet when a native thread releases them, so this one polls.

    :param eventlet: the package
    """

    #: seconds between two attempts
    INTERVAL = 0.002

    def __init__(self, eventlet: Any) -> None:
        threading = eventlet.patcher.original("threading")
        self._new_lock = threading.Lock
        self._thread = threading.get_ident
        self._green_sleep = eventlet.sleep
        self._native_sleep = eventlet.patcher.original("time").sleep
        self._hub_thread = self._thread()
        self._at_fork_reinit()

    def _at_fork_reinit(self) -> None:
        # The logging module calls this method by name after a fork.
        self._lock = self._new_lock()
        self._owner: tuple[int, Any] | None = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        me = (self._thread(), getcurrent())
        if self._owner != me:
            until = monotonic() + timeout if timeout >= 0 else inf
            sleep = self._green_sleep if me[0] == self._hub_thread else self._native_sleep
            while not self._lock.acquire(False):
                if not blocking or monotonic() > until:
                    return False
                sleep(self.INTERVAL)
            self._owner = me
        self._count += 1
        return True

    def release(self) -> None:
        self._count -= 1
        if not self._count:
            self._owner = None
            self._lock.release()

    __enter__ = acquire

    def __exit__(self, *error: object) -> None:
        self.release()
