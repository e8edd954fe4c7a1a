"""A handler in one worker: whether the worker owns it, whether it runs, and when it is due."""
from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING

from gworkers.background.registry import EVERY
from gworkers.serving.runs import Run

if TYPE_CHECKING:
    from gworkers.background.registry import Handler
    from gworkers.background.scheduler import Scheduler
    from gworkers.background.shared_file import Entry, SharedFile

#: The most steps of one job before others have their turn.
STEPS = 100


class OwnEntry:
    """Takes the place of an entry in the shared file for a handler that runs in every worker.

    :param last: its number at first
    """

    def __init__(self, last: float) -> None:
        self.last = last

    def acquire(self) -> bool:
        """Return True."""
        return True

    def touch(self) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


class Job:
    """One handler in one worker.

    :param handler: the handler
    :param scheduler: the scheduler of the worker
    """

    def __init__(self, handler: Handler, scheduler: Scheduler) -> None:
        self.handler = handler
        self._scheduler = scheduler
        self._source = handler.trigger.source(scheduler)
        self._entry: Entry | OwnEntry | None = None
        #: whether this worker starts its runs
        self.is_owner = False
        #: the number of its runs that have not ended
        self.running = 0
        #: whether the worker drains
        self._stopping = False
        #: whether the last step has failed
        self.failed = False

    def find_entry(self, file: SharedFile) -> None:
        """Find or add its entry in *file*, unless another process adds one at this moment."""
        if self._entry is None:
            first, handler = self._source.first, self.handler
            self._entry = (OwnEntry(first()) if handler.worker == EVERY
                           else file.entry(handler.key, first, reads_messages=handler.trigger.kind == "signal"))

    def step(self, file: SharedFile) -> float:
        """Become the owner if there is none. The owner starts what is due.

        :returns: seconds until the next step, at most; ``inf`` if this waits for something else
        """
        self.find_entry(file)
        if self._entry is not None:
            self._entry.touch()
        if self._entry is None or not (self.is_owner or self._entry.acquire()):
            return inf
        self.is_owner = True
        blocked = self.running > 0 and not self.handler.overlap
        if blocked and self.handler.trigger.queues:
            return inf
        for _ in range(STEPS):
            step = self._source.step(self._entry.last)
            if step.last != self._entry.last:
                # Before the run: if this process is killed, no other one starts the run a second time.
                self._entry.last = step.last
            if not step.is_due:
                return step.wait
            if blocked:
                self._scheduler.runs.skipped(self.handler.trigger.kind)
            else:
                self._start(step.arguments)
                blocked = not self.handler.overlap
                if blocked and self.handler.trigger.queues:
                    return inf
        return 0.0

    def _start(self, arguments: tuple[object, ...]) -> None:
        handler = self.handler
        self.running += 1
        self._scheduler.runs.start(Run(handler.trigger.kind, handler.name, partial(handler.function, *arguments),
                                       self._scheduler.new_context(), self._run_ended))

    def _run_ended(self) -> None:
        self.running -= 1
        if self._stopping:
            self._skip()
            self.stop()
        else:
            self._scheduler.wake()

    def _skip(self) -> None:
        """Skip what was due while a run has kept this worker the owner."""
        if self.is_owner and self._entry is not None and not self.handler.trigger.queues:
            step = self._source.step(self._entry.last)
            self._entry.last = step.last
            if step.is_due:
                self._scheduler.runs.skipped(self.handler.trigger.kind)

    def stop(self) -> None:
        """Let another worker become the owner, as soon as no run is left that must not overlap with the next one."""
        self._stopping = True
        if self.is_owner and self._entry is not None and not (self.running and not self.handler.overlap):
            self.is_owner = False
            self._source.close()
            self._entry.release()
            self._scheduler.ring()
