"""Runs: functions of the application that run in a greenlet of their own, outside of requests."""
from __future__ import annotations

from collections import Counter, deque
from contextvars import Context
from time import monotonic
from typing import TYPE_CHECKING, Callable

from gworkers.hubs.guard import hub_callback
from gworkers.serving import fork
from gworkers.status.figures import BACKGROUND_KINDS, BACKGROUND_OUTCOMES
from gworkers.thread_locals import close_connections

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gworkers.hubs.base import Greenlet, Hub
    from gworkers.logs.queue import LogQueue
    from gworkers.serving.worker_process import WorkerProcess


class Run:
    """One run of a function.

    :param kind: one of :data:`gworkers.status.figures.BACKGROUND_KINDS`
    :param name: the name of the function or of its handler, for logs
    :param function: called without arguments
    :param context: the context to call it in
    :param on_end: called when the run has ended in any way, unless the process ends first
    """

    __slots__ = ("context", "function", "kind", "name", "on_end", "started")

    def __init__(self, kind: str, name: str, function: Callable[[], object], context: Context,
                 on_end: Callable[[], None] | None = None) -> None:
        self.kind = kind
        self.name = name
        self.function = function
        self.context = context
        self.on_end = on_end
        #: when its greenlet has started, as ``time.monotonic()``
        self.started = 0.0


class Runs:
    """The runs of one worker.

    :param worker: the worker
    :param hub: the hub
    :param log: where to report exceptions
    :param time_slice: seconds after which other callbacks of the hub have their turn
    """

    def __init__(self, worker: WorkerProcess, hub: Hub, log: LogQueue, time_slice: float) -> None:
        self._worker = worker
        self._hub = hub
        self.log = log
        self._time_slice = time_slice
        self._thread = hub.native_thread_id()
        self._queue: deque[Run] = deque()
        self._scheduled = False
        #: the runs that have started, by greenlet
        self.active: dict[Greenlet, Run] = {}
        #: the number of runs that have ended, by outcome and kind
        self.ended: Counter[tuple[str, str]] = Counter()
        #: called each time the last run has ended
        self.on_idle: Callable[[], None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether functions run, or are about to."""
        return bool(self.active or self._queue)

    def start(self, run: Run) -> None:
        """Start *run* soon. Any native thread may call this, and it never waits."""
        self._queue.append(run)
        if self._hub.native_thread_id() == self._thread:
            self.schedule()
        else:
            # The main greenlet calls schedule() at its next beat.
            self._worker.wake()

    def schedule(self) -> None:
        """Let the hub start the runs in the queue. Call this in the hub's thread."""
        if self._queue and not self._scheduled:
            self._hub.call_soon(self._start)
            self._scheduled = True

    def abandon(self) -> list[str]:
        """Count all runs that have not ended as abandoned, and return their names."""
        runs = [*self.active.values(), *self._queue]
        self.active.clear()
        self._queue.clear()
        self.ended.update(("abandoned", run.kind) for run in runs)
        return sorted(run.name for run in runs)

    def skipped(self, kind: str) -> None:
        """Count a run that was not started, because the previous one has not ended."""
        self.ended["skipped", kind] += 1

    def figures(self) -> dict[str, int]:
        """Return the figures for :mod:`gworkers.status.figures`. Any thread may call this."""
        running = Counter(run.kind for run in [*self.active.copy().values(), *self._queue.copy()])
        return {**{f"background_running_{kind}": running[kind] for kind in BACKGROUND_KINDS},
                **{f"background_{outcome}_{kind}": self.ended[outcome, kind]
                   for outcome in BACKGROUND_OUTCOMES for kind in BACKGROUND_KINDS}}

    def release_after_fork(self) -> None:
        """Forget the runs in the queue in a forked process. The parent starts them."""
        self._queue.clear()

    def next_step(self) -> object:
        """Return the run that is started next, or None."""
        return self._queue[0] if self._queue else None

    def recover(self) -> None:
        """Start the queued runs after the hub had its turn."""
        self._scheduled = False
        if self._queue:
            # Not call_soon, which gevent may call before it polls for what has become ready.
            self._hub.call_later(0, self._start)
            self._scheduled = True

    @hub_callback
    def _start(self) -> None:
        self._scheduled = False
        slice_end = monotonic() + self._time_slice
        while self._queue:
            self._hub.create_greenlet(self._run).switch()
            if monotonic() > slice_end:
                self.recover()
                return

    def _run(self) -> None:
        run = self._queue.popleft()
        current = self._hub.current_greenlet()
        run.started = monotonic()
        self.active[current] = run
        outcome = self._call(run)
        # Not if it was abandoned, because then it has been counted.
        if self.active.pop(current, None) is not None:
            self.ended[outcome, run.kind] += 1
        try:
            if run.on_end is not None:
                run.on_end()
        except BaseException as error:
            self.log.failure(f"the end of {run.name}", error)
        close_connections(self.log)
        if self.on_idle is not None and not self.is_busy:
            self.on_idle()

    def _call(self, run: Run) -> str:
        """Call the function of *run*. Return the outcome."""
        error: BaseException | None = None
        try:
            run.context.run(run.function)
        except BaseException as raised:
            error = raised
            if self._worker.forking_greenlet is None:
                if self.log.ends_process(error):
                    raise
                run.context.run(self._log_failure, run)
        if self._worker.forking_greenlet is not None:
            fork.exit_forked_child(self._worker, error)
        return "done" if error is None else "failed"

    def _log_failure(self, run: Run) -> None:
        # In the context of the run, which log filters may read.
        self.log.exception("Exception in background function %s", run.name)


#: The code that calls the function of a run. Stacks in reports begin below it.
CALL_CODE = Runs._call.__code__


def text_of(names: Iterable[str]) -> str:
    """Return *names* as one text, each with the number of its occurrences."""
    return ", ".join(name if count == 1 else f"{name} ({count} times)" for name, count in Counter(names).items())
