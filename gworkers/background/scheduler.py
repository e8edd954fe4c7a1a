"""The scheduler of a worker: one greenlet that starts what is due. Without handlers it does not exist."""
from __future__ import annotations

from contextlib import suppress
from contextvars import Context, copy_context
from typing import TYPE_CHECKING

from greenlet import GreenletExit

from gworkers.background.doorbell import Listener
from gworkers.background.job import Job
from gworkers.background.messages import Messages
from gworkers.background.registry import REGISTRY
from gworkers.background.shared_file import SHARED_FILE
from gworkers.hubs.guard import hub_callback

if TYPE_CHECKING:
    from gworkers.hubs.base import Greenlet
    from gworkers.serving.server import Server

#: The most seconds between two turns: so often a worker tries to take over the handlers of others, and notices that
#: the clock was set.
INTERVAL = 0.5
#: Seconds until a turn that has failed to begin is tried again.
RETRY = 0.5


class Scheduler:
    """Starts the handlers of one worker. Create it in the context that the handlers get copies of.

    :param server: the server of the worker
    :param number: the number of the worker
    :param workers: the number of workers of the server, as configured
    """

    def __init__(self, server: Server, number: int, workers: int) -> None:
        self._workers = workers
        self.log = server.log
        self.hub = server.hub
        self.runs = server.runs
        #: Gunicorn's logger, for native threads
        self.logger = server.worker.log
        self.messages = Messages(SHARED_FILE, server.hub.native_lock())
        self.number = number
        self._context = copy_context()
        self._jobs: dict[str, Job] = {}
        self._listener: Listener | None = None
        self._greenlet: Greenlet | None = None
        self._turns = 0
        self._stopped = False

    def start(self) -> None:
        """Start the handlers that are registered now or later."""
        REGISTRY.on_change = self._handlers_changed
        self._handlers_changed()
        self._warn_of_missing_workers()

    def _handlers_changed(self) -> None:
        """Start the greenlet if there is a handler for this worker."""
        if self._stopped or not self._update_jobs():
            return
        if self._listener is None:
            self._listener = Listener(SHARED_FILE.doorbell, self.hub.native_epoll())
            self.hub.call_soon(self._resume)
        self._listener.wake()

    def _update_jobs(self) -> bool:
        for handler in REGISTRY.handlers():
            if handler.name not in self._jobs and handler.runs_in(self.number):
                job = self._jobs[handler.name] = Job(handler, self)
                # Now, so that a signal that is sent from now on reaches the handler. A failure is repeated and logged
                # in a turn.
                with suppress(OSError):
                    job.find_entry(SHARED_FILE)
        return bool(self._jobs)

    def _warn_of_missing_workers(self) -> None:
        for handler in REGISTRY.handlers():
            if self.number == 1 and isinstance(handler.worker, int) and handler.worker > self._workers:
                self.log.warning("Background handler %s is for worker number %s, but the number of workers is %s. It "
                                 "does not run. Correct the argument worker, or raise the setting workers.",
                                 handler.name, handler.worker, self._workers)

    def new_context(self) -> Context:
        """Return a copy of the worker's context."""
        return self._context.copy()

    def wake(self) -> None:
        """Let the next turn begin soon. Any native thread may call this."""
        if self._listener is not None:
            self._listener.wake()

    def ring(self) -> None:
        """Wake the schedulers of all workers, because a handler has no owner, or a signal was sent."""
        SHARED_FILE.doorbell.ring()
        if self._listener is not None and not self._listener.has_doorbell:
            self._listener.wake()

    def stop(self) -> None:
        """Start nothing more, because the worker drains. Other workers take over."""
        self._stopped = True
        for job in self._jobs.values():
            try:
                job.stop()
            except Exception:
                self.log.exception("Background handler %s cannot be released", job.handler.name)
        self.wake()

    def release_after_fork(self) -> None:
        """Start nothing in a forked process."""
        # The listener stays open, because the hub still watches its file descriptor.
        self._stopped = True
        REGISTRY.on_change = None
        # Another thread may have had the lock.
        self.messages = Messages(SHARED_FILE, self.hub.native_lock())

    def next_step(self) -> object:
        """Return the number of the next turn; None if there is none."""
        return None if self._stopped or self._listener is None else self._turns + 1

    def recover(self) -> None:
        """Start the greenlet again if it has ended."""
        if self.next_step() is not None:
            self.hub.call_later(RETRY, self._resume)

    @hub_callback
    def _resume(self) -> None:
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = self.hub.create_greenlet(self._run)
            self._greenlet.switch()

    def _run(self) -> None:
        try:
            while not self._stopped and self._listener is not None:
                self._turns += 1
                self._listener.clear()
                self.hub.wait_readable(self._listener.fd, self._turn())
        except GreenletExit:
            # The self-check starts another one.
            return
        except BaseException as error:
            if self.log.ends_process(error):
                raise
            self.log.failure("the scheduler of background handlers", error)

    def _turn(self) -> float:
        """Start what is due. Return the number of seconds until the next turn."""
        wait = INTERVAL
        for job in list(self._jobs.values()):
            try:
                wait = min(wait, job.step(SHARED_FILE))
                job.failed = False
            except Exception:
                # It is tried again at each turn, and the first failure is enough for the log.
                if not job.failed:
                    job.failed = True
                    self.log.exception("Background handler %s cannot be started", job.handler.name)
        return max(wait, 0.0)
