"""An executor that runs functions in the greenlet that waits for a coroutine."""
from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import Condition
from typing import TYPE_CHECKING, Any

from gworkers.thread_locals import close_connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from gworkers.coroutines.thread_calls import ThreadCalls
    from gworkers.hubs.base import Hub


class NativeFuture(Future):  # type: ignore[type-arg]
    """A future whose result is set in another thread. A patched lock would be one for greenlets of one thread."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self._condition = Condition(hub.native_lock())


class Work:
    """A function that another thread passes to a greenlet, and the future of its result."""

    def __init__(self, hub: Hub, function: Callable[[], Any]) -> None:
        self.future = NativeFuture(hub)
        self._function = function

    def run(self) -> None:
        """Call the function, and set the result."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._function()
        except BaseException as error:
            self.future.set_exception(error)
            # The traceback of the error refers to this frame.
            del self
        else:
            self.future.set_result(result)


class GreenletExecutor(Executor):
    """Runs functions of coroutines in the greenlet that creates it, while that greenlet waits in :meth:`run_until`.

    :param hub: the hub of the greenlet
    :param calls: wakes up the hub
    :param outer: the executor of the same greenlet that takes over when this one has ended
    """

    def __init__(self, hub: Hub, calls: ThreadCalls, outer: GreenletExecutor | None = None) -> None:
        self._hub = hub
        self._calls = calls
        self._outer = outer
        self._greenlet = hub.current_greenlet()
        self._works: deque[Work] = deque()
        self._lock = hub.native_lock()
        self._done = self._ended = self._waiting = False
        #: cancels the coroutine
        self.cancel: Callable[[], None] = lambda: None

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call *function* in the greenlet. Any thread may call this.

        :raises RuntimeError: if the greenlet no longer waits
        """
        work = Work(self._hub, lambda: function(*args, **kwargs))
        executor: GreenletExecutor | None = self
        while executor is not None:
            with executor._lock:
                if not executor._ended:
                    executor._works.append(work)
                    executor.wake()
                    return work.future
            executor = executor._outer
        raise RuntimeError("the request no longer waits for its coroutine, so it cannot run a function for it")

    def finish(self, *result: object) -> None:
        """End :meth:`run_until_done`. Any thread may call this."""
        self._done = True
        self.wake()

    def wake(self) -> None:
        """Let the greenlet look for work. Any thread may call this."""
        self._calls.call(self._resume)

    def _resume(self) -> None:
        if self._waiting:
            self._greenlet.switch()

    def run_until_done(self) -> None:
        """Run functions in the greenlet until :meth:`finish` is called.

        An exception that is raised in the greenlet while it waits cancels the coroutine. It is raised again at the
        end.
        """
        interrupted: BaseException | None = None
        try:
            while not self._done or self._works:
                try:
                    self._wait()
                except BaseException as error:
                    if interrupted is not None:
                        raise
                    interrupted = error
                    self.cancel()
                    continue
                while self._works:
                    self._works.popleft().run()
            if interrupted is not None:
                raise interrupted
        finally:
            self._end()
            # Break the cycle of the exception and this frame.
            interrupted = None

    def _wait(self) -> None:
        while not (self._done or self._works):
            self._waiting = True
            try:
                self._hub.park()
            finally:
                self._waiting = False

    def _end(self) -> None:
        with self._lock:
            self._ended = True
        # Only after a second exception, or in the moment between the last look for work and the end.
        for work in self._works:
            work.future.cancel()


class HubExecutor(ThreadPoolExecutor):
    """Runs functions of coroutines in greenlets of the hub, as requests run.

    It is the default executor of the loop, for ``asyncio.to_thread`` and for name lookups. asyncio requires the base
    class.

    :param hub: the hub
    :param calls: wakes up the hub
    """

    def __init__(self, hub: Hub, calls: ThreadCalls) -> None:
        super().__init__(1)
        self._hub = hub
        self._calls = calls

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call *function* in a new greenlet. Any thread may call this."""
        def call() -> Any:
            try:
                return function(*args, **kwargs)
            finally:
                close_connections(self._calls.log)

        work = Work(self._hub, call)
        self._calls.call(lambda: self._hub.create_greenlet(work.run).switch())
        return work.future
