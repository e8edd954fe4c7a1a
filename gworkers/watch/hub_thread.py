"""The native thread of the hub, as the watchdog's threads see it."""
from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, cast

if TYPE_CHECKING:
    from types import FrameType

    from gworkers.hubs.base import Hub
    from gworkers.logs.queue import LogQueue


class HubThread:
    """Gives other threads the frame of the hub's thread, and calls functions there. Create it in that thread.

    :param hub: the hub
    :param log: where to report exceptions
    """

    def __init__(self, hub: Hub, log: LogQueue) -> None:
        self.hub = hub
        #: the identifier of the native thread
        self.id = hub.native_thread_id()
        #: the greenlet of the hub, which is the parent of all others in this thread
        self.greenlet: Any = cast("Any", hub.create_greenlet(lambda: None)).parent
        self._log = log
        self._calls: deque[Callable[[], object]] = deque()

    def frame(self) -> FrameType | None:
        """Return the innermost frame. Any thread may call this."""
        return sys._current_frames().get(self.id)

    def call_later(self, function: Callable[[], object]) -> None:
        """Call *function* in this thread at the next beat. Any thread may call this."""
        self._calls.append(function)

    def make_calls(self) -> None:
        """Call the functions. Call this in the hub's thread, in a greenlet that serves no request."""
        while self._calls:
            function = self._calls.popleft()
            try:
                function()
            except Exception as error:
                self._log.failure("a call of the watchdog", error)
