"""One asyncio loop in a native thread, for the coroutines of all requests of a worker."""
from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition
from typing import TYPE_CHECKING, Any

from gworkers.coroutines.inbox import Inbox
from gworkers.coroutines.thread_calls import ThreadCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from gworkers.hubs.base import Hub
    from gworkers.logs.queue import LogQueue


class LoopThread:
    """Runs coroutines for greenlets. Create it in the hub's thread.

    The loop and its connections live as long as the worker, so clients with connection pools work in all requests.

    :param hub: the hub of the worker
    :param log: where to report exceptions
    """

    def __init__(self, hub: Hub, log: LogQueue) -> None:
        self._hub = hub
        # Created in this thread, because the eventlet hub replaces a module for a moment.
        self._selector = hub.thread_selector()
        self.calls = ThreadCalls(hub, log)
        self.loop: Any = None
        started = hub.native_lock()
        started.acquire()
        hub.start_thread(lambda: self._run(started.release))
        # This blocks the hub until the thread runs, once and for less than a millisecond.
        started.acquire()

    def _run(self, on_start: Callable[[], None]) -> None:
        # The loop is created in this thread, because sockets belong to the hub of the thread that creates them.
        self.loop = asyncio.SelectorEventLoop(self._selector)
        self.loop.set_default_executor(HubExecutor(self._hub, self.calls))
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(on_start)
        while True:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # A coroutine has raised it. Its task has it, too, and passes it to the greenlet that waits.
                pass

    def inbox(self) -> Inbox:
        """Return an inbox for the current greenlet."""
        return Inbox(self._hub, self.calls)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run *coroutine* in a copy of the current context, wait for its end in a greenlet, and return its result.

        If an exception is raised in the waiting greenlet, such as :exc:`gworkers.RequestTimeout`, the coroutine is
        cancelled. The greenlet waits until it has ended.

        :raises BaseException: the exception of the coroutine, or the one that is raised in the greenlet
        """
        inbox = self.inbox()
        tasks: list[asyncio.Task[Any]] = []

        def start() -> None:
            task = self.loop.create_task(coroutine)
            tasks.append(task)
            task.add_done_callback(inbox.put)

        self.loop.call_soon_threadsafe(start)
        try:
            return inbox.get().result()
        except BaseException:
            if not (tasks and tasks[0].done()):
                self.loop.call_soon_threadsafe(lambda: tasks[0].cancel())
                inbox.get()
            raise


class HubExecutor(ThreadPoolExecutor):
    """Runs the blocking functions of coroutines in greenlets of the hub, as requests run them.

    It is the default executor of the loop, for ``asyncio.to_thread`` and for name lookups. asyncio requires the class.

    :param hub: the hub
    :param calls: wakes up the hub
    """

    def __init__(self, hub: Hub, calls: ThreadCalls) -> None:
        super().__init__(1)
        self._hub = hub
        self._calls = calls

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        work = Work(self._hub, function, args, kwargs)
        self._calls.call(lambda: self._hub.create_greenlet(work.run).switch())
        return work.future


class Work:
    """A function that another thread calls, and the future of its result."""

    def __init__(self, hub: Hub, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.future = NativeFuture(hub)
        self._function = function
        self._args = args
        self._kwargs = kwargs

    def run(self) -> None:
        """Call the function, and set the result."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._function(*self._args, **self._kwargs)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class NativeFuture(Future):  # type: ignore[type-arg]
    """A future whose result is set in another thread. A patched lock would be one for greenlets of one thread."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self._condition = Condition(hub.native_lock())
