"""The setting ``asyncio_thread``: ``asyncio.run`` and asgiref's ``async_to_sync`` use the loop of the worker."""
from __future__ import annotations

import asyncio
import os
import threading
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from gworkers.coroutines import runner
from gworkers.coroutines.greenlet_executor import GreenletExecutor, NativeFuture

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def install() -> None:
    """Replace functions of asyncio and asgiref. Call it after the standard library is patched."""
    _replace_asyncio_run()
    if find_spec("asgiref") is not None:
        _adapt_asgiref(import_module("asgiref.sync"))


def _replace_asyncio_run() -> None:
    original = asyncio.run

    @wraps(original)
    def run(main: Any, **options: Any) -> Any:
        current = runner.current()
        # A loop of another class is not the one of the worker.
        if current is None or not isawaitable(main) or options.get("loop_factory") is not None:
            return original(main, **options)
        from gworkers.coroutines.loop_thread import cancel_tasks_at_end

        return current.thread.run(cancel_tasks_at_end(main))

    asyncio.run = run
    asyncio.runners.run = run


class WorkerLoop:
    """The loop of the worker, as asgiref uses a loop that runs in another thread.

    :param executor: returns asgiref's executor for the current greenlet
    """

    def __init__(self, executor: Callable[[], Any]) -> None:
        self._executor = executor

    def is_running(self) -> bool:
        return True

    def create_task(self, coroutine: Any) -> None:
        raise NotImplementedError("asgiref passes this function to call_soon_threadsafe()")

    def call_soon_threadsafe(self, create_task: Callable[..., None], coroutine: Coroutine[Any, Any, Any]) -> None:
        """Start *coroutine*."""
        current = runner.current()
        if current is None:
            raise RuntimeError("the loop of the worker cannot be used in this thread")
        current.thread.start(coroutine, self._executor())


def _adapt_asgiref(asgiref: Any) -> None:
    """Let asgiref run coroutines in the loop of the worker, and their blocking functions in the waiting greenlet.

    asgiref supports a loop that runs in another thread, as in an ASGI server.
    """
    worker_loop = WorkerLoop(lambda: asgiref.AsyncToSync.executors.current)
    native_executor = asgiref.CurrentThreadExecutor

    class Executor(GreenletExecutor):
        def run_until_future(self, future: Any) -> None:
            future.add_done_callback(self.finish)
            self.run_until_done()
            if not future.done():
                # The coroutine was cancelled before it has started.
                future.cancel()

    def executor(outer: Any) -> Any:
        current = runner.current()
        return native_executor(outer) if current is None else Executor(current.hub, current.thread.calls, outer)

    def future() -> Any:
        current = runner.current()
        return native_future() if current is None else NativeFuture(current.hub)

    class ThreadLocal(threading.local):
        @property
        def main_event_loop(self) -> Any:
            return self.__dict__.get("loop") if runner.current() is None else worker_loop

        @main_event_loop.setter
        def main_event_loop(self, loop: Any) -> None:
            self.__dict__["loop"] = loop

        @property
        def main_event_loop_pid(self) -> int | None:
            return self.__dict__.get("pid") if runner.current() is None else os.getpid()

        @main_event_loop_pid.setter
        def main_event_loop_pid(self, pid: int) -> None:
            self.__dict__["pid"] = pid

    native_future = asgiref.Future
    asgiref.CurrentThreadExecutor = executor
    asgiref.Future = future
    asgiref.SyncToAsync.threadlocal = ThreadLocal()
