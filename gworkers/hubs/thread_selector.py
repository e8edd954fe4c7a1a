"""The selector of an asyncio loop in another native thread than that of the worker's hub."""
from __future__ import annotations

import selectors
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

#: The most seconds that a busy loop keeps the hub of its thread from running.
HUB_INTERVAL = 0.01
#: Seconds of a wait without a limit. asyncio waits again after it.
LONG = 3600.0


class ThreadSelector(selectors.BaseSelector):
    """Waits on the library's hub of the current thread until the native selector is readable.

    The patch turns threads that a library starts in the loop's thread into greenlets of that thread. They run while
    the loop waits, because the wait is one of the hub.

    :param native: a selector that blocks the native thread and has a ``fileno()``
    :param wait_readable: waits on the hub of the current thread: see :meth:`gworkers.hubs.base.Hub.wait_readable`
    """

    def __init__(self, native: Any, wait_readable: Callable[[int, float], bool]) -> None:
        self._native = native
        #: when the hub must run, although the loop has work
        self._hub_due = 0.0
        self._wait_readable = wait_readable

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = self._native.select(0)
        now = monotonic()
        if (ready or (timeout is not None and timeout <= 0)) and now < self._hub_due:
            return ready
        if ready:
            timeout = 0
        self._hub_due = now + HUB_INTERVAL
        self._wait_readable(self._native.fileno(), LONG if timeout is None else timeout)
        return self._native.select(0)  # type: ignore[no-any-return]

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._native.register(fileobj, events, data)  # type: ignore[no-any-return]

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._native.unregister(fileobj)  # type: ignore[no-any-return]

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._native.modify(fileobj, events, data)  # type: ignore[no-any-return]

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._native.get_map()  # type: ignore[no-any-return]

    def close(self) -> None:
        self._native.close()
