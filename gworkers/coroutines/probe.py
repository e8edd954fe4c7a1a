"""A probe for asyncio loops that run in the thread of the hub, where only one can run at a time."""
from __future__ import annotations

import os
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

from gworkers.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from gworkers.hubs.base import Hub

#: The packages whose frames are between the application and the loop.
LIBRARIES = frozenset(("asyncio", "concurrent", "threading", "gworkers", "asgiref"))


def finding(problem: str, asyncio_thread: bool) -> Finding:
    """Return the finding that requests run asyncio loops in the thread of the hub.

    :param asyncio_thread: whether the setting is on
    """
    fix = ("Call gworkers.run_async(coroutine)" if asyncio_thread else
           "Set GWORKERS_ASYNCIO_THREAD=1 in the environment, or pass asyncio_thread=True to configure()")
    return Finding(
        "asyncio-conflict", problem,
        "only one asyncio loop can run in a native thread, and all requests share one thread: of two such requests at "
        "the same time one fails", fix)


class AsyncioProbe:
    """Reports the first loop that a request runs in the thread of the hub. Create it in that thread.

    :param hub: the hub
    :param greenlets: returns the greenlets that serve requests
    :param report: called with the finding
    :param asyncio_thread: whether the setting is on
    :param already_reported: whether there is nothing to report, because it was reported at boot
    """

    def __init__(self, hub: Hub, greenlets: Callable[[], Iterable[Any]], report: Callable[[Finding], None], *,
                 asyncio_thread: bool, already_reported: bool) -> None:
        self._hub = hub
        self._thread = hub.native_thread_id()
        self._greenlets = greenlets
        self._report = report
        self._asyncio_thread = asyncio_thread
        self._installed = already_reported

    def install(self) -> None:
        """Watch the loops of asyncio from now on, if asyncio is imported."""
        loop_class: Any = getattr(sys.modules.get("asyncio.base_events"), "BaseEventLoop", None)
        if self._installed or loop_class is None:
            return
        # The master imports this module too, and reports a greenlet that cannot be imported.
        from greenlet import getcurrent

        self._installed = True
        original = loop_class.run_forever

        @wraps(original)
        def run_forever(loop: Any) -> None:
            # The main greenlet has no parent. It runs hooks, but no requests.
            if self._hub.native_thread_id() == self._thread and getcurrent().parent is not None:
                loop_class.run_forever = original
                self._report(finding(f"{self._culprit(sys._getframe(1))} runs an asyncio loop in a request",
                                     self._asyncio_thread))
            original(loop)

        loop_class.run_forever = run_forever

    def _culprit(self, caller: FrameType) -> str:
        """Return what runs the loop: a coroutine function that asgiref's async_to_sync calls, or a place."""
        for greenlet in self._greenlets():
            frame = greenlet.gr_frame
            while frame is not None:
                if frame.f_globals.get("__name__") == "asgiref.sync" and frame.f_code.co_name == "__call__":
                    user = _application_frame(frame)
                    return f"{_awaitable(frame)}{f', an async function called by {_package(user)},' if user else ''}"
                frame = frame.f_back
        user = _application_frame(caller)
        if user is None:
            return "A greenlet"
        return f"{os.path.basename(user.f_code.co_filename)}:{user.f_lineno} in {user.f_code.co_name}"


def _awaitable(frame: FrameType) -> str:
    """Return the name of the function that AsyncToSync.__call__ calls in *frame*."""
    function = getattr(frame.f_locals.get("self"), "awaitable", None)
    function = getattr(function, "func", function)
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"


def _application_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None and _package(frame) in LIBRARIES:
        frame = frame.f_back
    return frame


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
