"""The inbox of a greenlet that waits for other native threads."""
from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gworkers.coroutines.thread_calls import ThreadCalls
    from gworkers.hubs.base import Hub


class Inbox:
    """A queue from native threads to the greenlet that creates it.

    :param hub: the hub of the greenlet
    :param calls: wakes up the hub
    """

    def __init__(self, hub: Hub, calls: ThreadCalls) -> None:
        self._hub = hub
        self._calls = calls
        self._greenlet = hub.current_greenlet()
        self._items: deque[Any] = deque()
        self._waiting = False

    def put(self, item: object) -> None:
        """Add *item*. Any thread may call this."""
        self._items.append(item)
        self._calls.call(self._resume)

    def get(self) -> Any:
        """Wait in the greenlet for the next item, and return it.

        :raises BaseException: an exception that is raised in the greenlet while it waits
        """
        while not self._items:
            self._waiting = True
            try:
                self._hub.park()
            finally:
                self._waiting = False
        return self._items.popleft()

    def _resume(self) -> None:
        if self._waiting:
            self._greenlet.switch()
