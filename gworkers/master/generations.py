"""The arbiter's side of a graceful reload: generations of workers.

::

    a worker:     BOOTING --> READY --> DRAINING --> gone        the next one is READY before this one drains
                     |          |           ^
                     v          v           |
                  (failed)   RETIRING ------+                    max_requests, max_rss: asks for a successor

    a generation: on trial, from a reload until one of it is READY; only then the elder one makes way, worker by worker.
                  If none of it can boot the elder one goes on as if nothing had been.

Nothing here waits: the arbiter's loop calls :meth:`Generations.manage_workers` after each signal and once a second, and
workers that have something to say wake it with SIGCHLD.
"""
from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from time import monotonic
from types import SimpleNamespace
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from gworkers.error_text import print_traceback
from gworkers.master.arbiter import Forked, NotReloadedError, ResilientArbiter
from gworkers.master.boot_backoff import BootBackoff
from gworkers.master.dry_run import REFUSED, rehearse, report
from gworkers.master.listeners import Listeners, left_to_worker
from gworkers.master.readiness import Readiness
from gworkers.master.signal_queue import SignalQueue
from gworkers.settings import Settings
from gworkers.shared_state import BOARD, BOOTING, READY, REPLACED, RETIRING, STOP, status_of

#: Attempts to boot while no worker has ever booted. Most failures stop Gunicorn at once, but not all can be told apart.
FIRST_ATTEMPTS = 3

#: Signals after which a worker is to end.
ENDING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


def install_when_ready(cfg: Any) -> None:
    """Take charge of the arbiter as soon as it is ready, before the configured ``when_ready``."""
    own = cfg.when_ready

    def when_ready(arbiter: Any) -> None:
        take_charge(arbiter)
        own(arbiter)

    cfg.set("when_ready", when_ready)


def take_charge(arbiter: Any) -> None:
    """From now on the arbiter knows generations. Doing it twice changes nothing."""
    if not isinstance(arbiter, Generations):
        # It may be of an application's own class.
        arbiter.__class__ = type("Generations", (Generations, type(arbiter)), {})
        arbiter.begin()


@dataclass
class Trial:
    """A reload of which nobody knows yet whether it works, and what to go back to."""

    #: the age of the youngest worker of the generation before the elder one
    elder_age: int
    num_workers: int
    #: how many workers the reload has asked for
    wanted: int = 0


class Generations(ResilientArbiter):
    """An arbiter whose workers go only when those that take their place are there."""

    num_workers: int
    _num_workers: int

    def begin(self) -> None:
        """Start with what Gunicorn's own arbiter has come to, before its first worker."""
        self._listeners = Listeners(self)
        self._readiness = Readiness(self.pid, self.log)
        #: workers that are not younger than this belong to a generation that has to make way
        self._elder_age = 0
        self._trial: Trial | None = None
        self._forking = False
        #: the addresses that a reload has been rehearsed with
        self._bind: list[str] | None = None
        #: the workers that were there the last time, and those started since
        self._known: dict[int, Any] = {}
        self._attempts = BootBackoff()
        # Gunicorn 23 has a list.
        if type(self.SIG_QUEUE).__module__ not in ("_queue", "builtins"):
            self.SIG_QUEUE = SignalQueue()
        self.listen_to_signals()
        self.guard_pidfile()
        self._configure()
        self._readiness.begin(self._settings.readiness_file)
        BOARD.reloads_managed = True

    def _configure(self) -> None:
        self._settings = Settings.resolve(getattr(self.worker_class, "overrides", {}), os.environ)

    # What Gunicorn's arbiter does, and what is different about it

    def reload(self) -> None:
        """Load the configuration and start a new generation, unless a rehearsal says that it would fail."""
        bind = self.cfg.bind
        self._bind = rehearse(self)
        if self._bind is None or not self._listeners.change(self._bind):
            return
        trial = Trial(self._elder_age, self.num_workers) if self._trial is None else self._trial
        before = self._elder_age, self._attempts
        self._elder_age, self._attempts = self.worker_age, BootBackoff()
        self._forking = True
        try:
            with BOARD.reload():
                super().reload()
        except NotReloadedError as failure:
            self._elder_age, self._attempts = before
            if self._trial is None:
                self._listeners.restore()
                self.cfg.set("bind", bind)
            report(self.log, failure.error)
            self.log.error(REFUSED)
            return
        finally:
            self._forking = False
        self._trial = trial
        trial.wanted = self.num_workers
        self._configure()

    def setup(self, app: Any) -> None:
        """Take over what the configuration says, but for other addresses than those that are listened on by now."""
        app.cfg.set("bind", self._bind)
        super().setup(app)

    def manage_workers(self) -> None:
        """Start workers that are missing, end those whose place is taken."""
        if self._forking:
            # All that is left to do in Gunicorn's reload is to wait for the elder generation, deaf to signals.
            raise Forked
        self._record_exits()
        self._end_trial()
        self._abort_late()
        self._spawn_missing()
        self._stop_replaced()
        self._readiness.tell(self._settings.readiness_file, bool(self._serving()))
        # For what it reports. It is not to start or end any worker.
        wanted, self._num_workers = self._num_workers, len(self.WORKERS)
        try:
            super().manage_workers()
        finally:
            self._num_workers = wanted

    def spawn_worker(self) -> int:
        """Fork a worker; the worker does not return."""
        with left_to_worker(self.cfg, self.LISTENERS):
            try:
                pid = self._fork_worker()
            except OSError as error:
                # The process may have as many as it is allowed.
                self.log.error("A worker could not be forked: %s", error)
                self._pause()
                return 0
        worker = self._known[pid] = self.WORKERS[pid]
        worker.born = monotonic()
        return pid

    def _fork_worker(self) -> int:
        """Let Gunicorn fork a worker, whose process nothing leaves but a SystemExit.

        Gunicorn logs when a worker ends. What a log handler raises there would reach the arbiter's loop, in a process
        that is no arbiter, and stop the other workers.
        """
        try:
            return super().spawn_worker()  # type: ignore[no-any-return]
        except SystemExit:
            raise
        except BaseException as error:
            if os.getpid() == self.pid:
                raise
            print_traceback(error)
            replaced = error.__context__
            sys.exit(replaced.code if isinstance(replaced, SystemExit) else 1)

    def kill_worker(self, pid: int, sig: int) -> None:
        """Send a signal, and take down that the worker is to end: while it boots it would not hear."""
        if sig in ENDING and pid in self.WORKERS:
            status = status_of(self.WORKERS[pid])
            status.order = status.order or STOP
        super().kill_worker(pid, sig)

    def reexec(self) -> None:
        """Start another master beside this one."""
        before = self.LISTENERS
        if not before:
            # With reuse_port each worker has its own. Gunicorn's next master ignores what it is left, but not nothing.
            self.LISTENERS = [SimpleNamespace(fileno=lambda: 0)]
        super().reexec()
        self.LISTENERS = before

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers."""
        self._readiness.tell(self._settings.readiness_file, False)
        super().stop(graceful)

    # Who is who

    def _workers(self) -> list[Any]:
        """Those that have not been told to end, oldest first."""
        return sorted((worker for worker in list(self.WORKERS.values()) if not status_of(worker).order),
                      key=lambda worker: worker.age)

    def _serving(self) -> list[Any]:
        return [worker for worker in self._workers() if status_of(worker).phase in (READY, RETIRING)]

    def _to_stay(self) -> list[Any]:
        """Those of the generation that counts, on their way or ready."""
        return [worker for worker in self._workers()
                if worker.age > self._elder_age and status_of(worker).phase in (BOOTING, READY)]

    # What is done about them

    def _record_exits(self) -> None:
        """Count the attempts to boot that have failed since the last time."""
        gone = [worker for pid, worker in self._known.items() if pid not in self.WORKERS]
        self._known = dict(self.WORKERS)
        # Those of one attempt may come by one after the other.
        attempts = self._attempts
        if any(status_of(worker).phase == BOOTING and not status_of(worker).order and attempts.includes(worker.born)
               for worker in gone):
            if not BOARD.proven and attempts.failures + 1 >= FIRST_ATTEMPTS:
                raise HaltServer("No worker could boot.", Arbiter.WORKER_BOOT_ERROR)
            self._pause()
        if attempts.failures and any(status_of(worker).phase == READY and attempts.includes(worker.born)
                                     for worker in (*gone, *self._to_stay())):
            self._attempts = BootBackoff()
            # The next failure is another.
            BOARD.failure.renew()

    def _pause(self) -> None:
        pause = self._attempts.fail()
        if self._trial is None and not self._forking:
            self.log.error("A worker could not boot. The next attempt is in %g s; workers that serve: %s.",
                           pause, len(self._serving()))

    def _end_trial(self) -> None:
        trial = self._trial
        if trial is None:
            return
        generation = self._to_stay()
        if any(status_of(worker).phase == READY for worker in generation):
            self._trial = None
            self._listeners.keep()
        elif not generation:
            self._trial = None
            if not self._attempts.failures or not self.num_workers:
                # They have been told to end, by WINCH for instance.
                self._listeners.keep()
                return
            # They serve, so whoever of them has to be replaced is tried at once.
            self._attempts = BootBackoff()
            self._elder_age = trial.elder_age
            self._listeners.restore()
            # Unless somebody has asked for others meanwhile.
            if trial.num_workers != self.num_workers == trial.wanted:
                self.num_workers = trial.num_workers
            self.log.error("The reload has failed, for none of the new workers could boot. %s of before go on serving.",
                           len(self._serving()))

    def _abort_late(self) -> None:
        """Deal with what does not come up as Gunicorn does with what does not beat, once it has begun to."""
        limit = self._settings.boot_timeout
        for pid, worker in list(self.WORKERS.items()):
            if limit and status_of(worker).phase == BOOTING and monotonic() - worker.born > limit:
                if not worker.aborted:
                    self.log.critical("WORKER TIMEOUT (pid:%s): it has not booted within %g s (boot_timeout)",
                                      pid, limit)
                self.kill_worker(pid, signal.SIGKILL if worker.aborted else signal.SIGABRT)
                worker.aborted = True

    def _spawn_missing(self) -> None:
        if self._trial is not None:
            return
        there = self._to_stay()
        missing = self.num_workers - len(there)
        if self._attempts.failures and missing > 0:
            # One is enough to find out whether it works again.
            due = self._attempts.is_due() and not any(status_of(worker).phase == BOOTING for worker in there)
            missing = 1 if due else 0
        for _ in range(missing):
            if not self.spawn_worker():
                break

    def _stop_replaced(self) -> None:
        """End those whose place is taken, and those that are too many."""
        staying = self._to_stay()
        leaving = [worker for worker in self._workers() if worker not in staying]
        for worker in leaving:
            if status_of(worker).phase == BOOTING:
                self._end(worker, REPLACED)
        # As many as the trial goes back to, if it fails.
        needed = self.num_workers if self._trial is None else max(self.num_workers, self._trial.num_workers)
        spare = len(self._serving()) - needed
        replaced = [worker for worker in leaving if status_of(worker).phase in (READY, RETIRING)]
        for worker in replaced[:max(spare, 0)]:
            self._end(worker, REPLACED)
        # Whoever boots serves nobody; the rest as Gunicorn does, the oldest first.
        staying.sort(key=lambda worker: (status_of(worker).phase != BOOTING, worker.age))
        for worker in staying[:max(len(staying) - self.num_workers, 0)]:
            self._end(worker, REPLACED)

    def _end(self, worker: Any, order: int) -> None:
        status_of(worker).order = order
        self.kill_worker(worker.pid, signal.SIGTERM)
