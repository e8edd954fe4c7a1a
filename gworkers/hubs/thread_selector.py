"""The selector of an asyncio loop in another native thread than that of the worker's hub."""
from __future__ import annotations

import selectors
from collections.abc import Callable, Mapping
from typing import Any

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
        self._wait_readable = wait_readable

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = self._native.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
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
