"""One asyncio loop in a native thread, for the coroutines of all requests of a worker."""
from __future__ import annotations

import asyncio
import os
import sys
from asyncio.events import Handle
from contextvars import ContextVar
from time import monotonic
from traceback import StackSummary
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakSet

from gworkers.coroutines.greenlet_executor import GreenletExecutor, HubExecutor
from gworkers.coroutines.thread_calls import ThreadCalls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from types import FrameType

    from gworkers.hubs.base import Hub
    from gworkers.logs.queue import LogQueue

#: The code that calls a callback of an asyncio loop.
CALLBACK_CODE = Handle._run.__code__
#: The most frames of a stack, counted from the innermost one.
DEPTH = 60
#: The tasks that were created since the start of :func:`cancel_tasks_at_end`.
_tasks: ContextVar[WeakSet[asyncio.Task[Any]]] = ContextVar("_tasks")


class LoopThread:
    """Runs coroutines for greenlets. Create it in the hub's thread.

    The loop and its connections live as long as the worker, so clients with connection pools work in all requests.

    :param hub: the hub of the worker
    :param log: where to report exceptions
    """

    def __init__(self, hub: Hub, log: LogQueue) -> None:
        self._hub = hub
        # Created in this thread, because the eventlet hub replaces a module for a moment.
        self._selector: Any = hub.thread_selector()
        #: when the loop began to run the callbacks that it runs now; 0.0 while it waits. Any thread may read this.
        self.busy_since = 0.0
        hub.share_locks()
        self.calls = ThreadCalls(hub, log)
        self.loop: Any = None
        self._canceller: Any = None
        failures: list[BaseException] = []
        started = hub.native_lock()
        started.acquire()
        hub.start_thread(lambda: self._run(started.release, failures))
        # This blocks the hub until the thread runs, once and for less than a millisecond.
        started.acquire()
        if failures:
            self.calls.release_after_fork()
            self._selector.close()
            raise failures.pop()

    def _run(self, on_end_of_start: Callable[[], None], failures: list[BaseException]) -> None:
        try:
            self._create_loop()
        except BaseException as error:
            # For example the limit of file descriptors is reached. The greenlet that needs the loop gets the exception.
            failures.append(error)
            return
        finally:
            on_end_of_start()
        while True:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # A coroutine has raised it. Its task has it, too, and passes it to the greenlet that waits.
                pass

    def _create_loop(self) -> None:
        self._hub.share_locks()
        self._thread = self._hub.native_thread_id()
        self._greenlet = self._hub.current_greenlet()
        self._wait = self._selector.select
        self._selector.select = self._select
        # The loop is created in this thread, because sockets belong to the hub of the thread that creates them.
        self.loop = asyncio.SelectorEventLoop(self._selector)
        self.loop.set_default_executor(HubExecutor(self._hub, self.calls))
        self.loop.set_task_factory(_create_task)
        if not self._hub.starts_processes_in_threads:
            self.loop.subprocess_exec = self.loop.subprocess_shell = self._refuse_process
        asyncio.set_event_loop(self.loop)
        # This creates the hub of this thread, which also needs file descriptors.
        self._selector.select(0)

    async def _refuse_process(self, *_: object, **__: object) -> NoReturn:
        raise RuntimeError(f"a coroutine cannot start a process on {self._hub.title}, which watches processes in the "
                           "main thread only: use await asyncio.to_thread(subprocess.run, ...)")

    def cancel_tasks(self, on_end: Callable[[], object]) -> None:
        """Cancel all tasks, and call *on_end* in the thread of the loop when they have ended.

        The loop logs exceptions of such tasks, as after :func:`asyncio.run`.
        """
        async def cancel() -> None:
            tasks = list(asyncio.all_tasks() - {asyncio.current_task()})
            for task, result in zip(tasks, await _cancel(tasks)):
                if isinstance(result, Exception):
                    self.loop.call_exception_handler(
                        {"message": "unhandled exception while the worker exits", "exception": result, "task": task})
            await self.loop.shutdown_asyncgens()
            on_end()

        def start() -> None:
            # asyncio itself keeps no reference to a task.
            self._canceller = self.loop.create_task(cancel())

        self.loop.call_soon_threadsafe(start)

    def task_names(self) -> list[str]:
        """Return the names of the coroutines whose tasks have not ended. Any thread may call this."""
        tasks = asyncio.all_tasks(self.loop) - {self._canceller}
        return sorted(getattr(task.get_coro(), "__qualname__", task.get_name()) for task in tasks)

    def _select(self, timeout: float | None = None) -> Any:
        self.busy_since = 0.0
        try:
            return self._wait(timeout)
        finally:
            self.busy_since = monotonic()

    def stack(self) -> StackSummary:
        """Return the stack of the callback that the loop runs now; empty if it runs none. Any thread may call this."""
        # While the callback waits on the hub of the thread, its greenlet has the frame, and not the thread.
        frame: Any = getattr(self._greenlet, "gr_frame", None) or sys._current_frames().get(self._thread)
        frames: list[FrameType] = []
        while frame is not None and frame.f_code is not CALLBACK_CODE:
            frames.append(frame)
            frame = frame.f_back
        innermost = frames[:DEPTH] if frame is not None else []
        return StackSummary.extract(((each, each.f_lineno) for each in reversed(innermost)), lookup_lines=False)

    def release_after_fork(self) -> None:
        """Close file descriptors in a process that the application has forked.

        If a coroutine has forked it, it ends when the coroutine waits or returns. The loop must not continue in it,
        because it would receive what wakes the loop of the parent, and run the other coroutines a second time.
        """
        self.calls.release_after_fork()
        if self._hub.native_thread_id() == self._thread:
            self._selector.select = _end_forked_process
            self.loop.call_soon(_end_forked_process)
            # asyncio has no function that puts a callback before those that are ready.
            self.loop._ready.rotate(1)

    def executor(self, outer: GreenletExecutor | None = None) -> GreenletExecutor:
        """Return an executor for the current greenlet.

        :param outer: the executor of the same greenlet that takes over when the new one has ended
        """
        return GreenletExecutor(self._hub, self.calls, outer)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run *coroutine* in a copy of the current context, wait for its end in a greenlet, and return its result.

        If an exception is raised in the waiting greenlet, such as :exc:`gworkers.RequestTimeout`, the coroutine is
        cancelled. The greenlet waits until it has ended.

        :raises BaseException: the exception of the coroutine, or the one that is raised in the greenlet
        :raises TypeError: if it is not a coroutine
        """
        if not asyncio.iscoroutine(coroutine):
            # The loop would only log the error of its task, and the greenlet would wait forever.
            raise TypeError(f"a coroutine is needed, not {coroutine!r}")
        executor = self.executor()
        tasks = self.start(coroutine, executor)
        executor.run_until_done()
        return tasks[0].result()

    def start(self, coroutine: Coroutine[Any, Any, Any], executor: GreenletExecutor) -> list[asyncio.Task[Any]]:
        """Start *coroutine* in a copy of the current context. *executor* runs until it has ended, and can cancel it.

        :returns: a list that contains its task from the start of the task on
        """
        tasks: list[asyncio.Task[Any]] = []

        def start() -> None:
            asgiref = sys.modules.get("asgiref.sync")
            if asgiref is not None:
                # Then sync_to_async in the coroutine calls its function in the greenlet that waits.
                asgiref.AsyncToSync.executors.current = executor
            task = self.loop.create_task(coroutine)
            tasks.append(task)
            task.add_done_callback(executor.finish)

        executor.cancel = lambda: self.loop.call_soon_threadsafe(lambda: tasks[0].cancel())
        self.loop.call_soon_threadsafe(start)
        return tasks


def _end_forked_process(*_: object) -> NoReturn:
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    finally:
        os._exit(0)


def _create_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    tasks = _tasks.get(None)
    if tasks is not None:
        tasks.add(task)
    return task


async def _cancel(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    """Cancel *tasks*, wait for their ends, and return their results and exceptions."""
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def cancel_tasks_at_end(awaitable: Awaitable[Any]) -> Any:
    """Return the result of *awaitable*. At its end cancel the tasks that it has created, as :func:`asyncio.run`."""
    tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
    _tasks.set(tasks)
    try:
        return await awaitable
    finally:
        await _cancel([task for task in tasks if not task.done()])
