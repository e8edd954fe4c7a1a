"""``gworkers.run_async``: a greenlet waits for a coroutine that runs in the loop of the worker."""
from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from gworkers.coroutines.loop_thread import LoopThread
    from gworkers.hubs.base import Hub
    from gworkers.logs.queue import LogQueue

T = TypeVar("T")


class Runner:
    """The loop of a worker. It starts when it is first needed.

    :param hub: the hub of the worker
    :param log: where to report exceptions
    """

    def __init__(self, hub: Hub, log: LogQueue) -> None:
        self.hub = hub
        self._log = log
        self._hub_thread = hub.native_thread_id()
        self._thread: LoopThread | None = None
        self._forked = False

    @property
    def is_usable(self) -> bool:
        """Whether the caller can wait on the hub: it is in the hub's thread, and this process is the worker."""
        return not self._forked and self.hub.native_thread_id() == self._hub_thread

    @property
    def thread(self) -> LoopThread:
        """The thread of the loop. Use this in the hub's thread only."""
        if self._thread is None:
            from gworkers.coroutines.loop_thread import LoopThread

            self._thread = LoopThread(self.hub, self._log)
            os.register_at_fork(after_in_child=self._release_after_fork)
        return self._thread

    @property
    def started_thread(self) -> LoopThread | None:
        """The thread of the loop; None if it was not needed so far. Any thread may read this."""
        return self._thread

    def cancel_tasks(self, on_end: Callable[[], object]) -> None:
        """Cancel the tasks that the loop still has, and call *on_end* in any thread when they have ended."""
        if self._thread is None:
            on_end()
        else:
            self._thread.cancel_tasks(on_end)

    def task_names(self) -> list[str]:
        """Return the names of the coroutines whose tasks the loop still has."""
        return [] if self._thread is None else self._thread.task_names()

    def _release_after_fork(self) -> None:
        self._forked = True
        if self._thread is not None:
            self._thread.release_after_fork()


#: The runner of this worker; None in other processes.
_runner: Runner | None = None


def install(hub: Hub, log: LogQueue) -> Runner:
    """Let :func:`run_async` use a loop of this worker. Call it in the hub's thread."""
    global _runner
    _runner = Runner(hub, log)
    return _runner


def current() -> Runner | None:
    """Return the runner that the caller can use; None outside of a worker and in other threads than the hub's."""
    return _runner if _runner is not None and _runner.is_usable else None


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run *coroutine* and return its result. Other requests are served meanwhile.

    All coroutines of a worker run in one asyncio loop, in a native thread. Each runs in a copy of the caller's
    context. If the request is cancelled, the coroutine is cancelled, and this call ends when the coroutine has ended.
    Tasks that the coroutine has created run on after its end.

    Outside of a worker, for example in a test or a script, it calls :func:`asyncio.run`.

    :raises BaseException: the exception of the coroutine
    :raises TypeError: in a worker, if it is not a coroutine
    :raises RuntimeError: if the caller runs in an asyncio loop. Use ``await`` there.
    """
    runner = current()
    if runner is not None:
        return runner.thread.run(coroutine)  # type: ignore[no-any-return]
    import asyncio

    return asyncio.run(coroutine)
