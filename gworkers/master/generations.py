"""Generations of workers: a reload or a recycled worker loses no request.

::

    a worker:     BOOTING --> READY --> DRAINING --> gone        the successor is READY before this one drains
                     |          |           ^
                     v          v           |
                  (failed)   RETIRING ------+                    max_requests, max_rss: the worker asks for a successor

    a generation: starts with a reload, on trial until one of its workers is READY. Then it replaces the previous
                  generation, worker by worker. If none of its workers can boot, the previous generation continues.

No method blocks. The arbiter's loop calls :meth:`Generations.manage_workers` after each signal and once a second.
A worker that enters another phase wakes the loop with SIGCHLD.
"""
from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from time import monotonic
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from gworkers.background.shared_file import SHARED_FILE
from gworkers.code_changes import CODE_CHANGES
from gworkers.master.arbiter import ResilientArbiter
from gworkers.master.boot_backoff import BootBackoff
from gworkers.master.dry_run import dry_run, log_failure
from gworkers.master.forking import worker_exits
from gworkers.master.listeners import Listeners, left_to_worker
from gworkers.master.observers import Observers
from gworkers.master.readiness import Readiness
from gworkers.master.reload import NotReloadedError, ReloadDone, log_refused
from gworkers.master.signals import STOPPING
from gworkers.master.worker_pool import WorkerPool
from gworkers.settings import Settings
from gworkers.shared_state import SERVER_STATE, Order, Phase, state_of

#: Maximum number of attempts to boot the first worker. Most failures stop Gunicorn at once, but some look like a crash.
FIRST_ATTEMPTS = 3


@dataclass
class Trial:
    """A new generation of which no worker is ready yet, and the state to return to if none can boot."""

    #: What ``_previous_age`` was before the reload.
    previous_age: int
    #: The number of workers before the reload.
    num_workers: int
    #: The generation before the reload.
    generation: int
    #: The number of workers that the reload has asked for.
    wanted: int = 0


class Generations(ResilientArbiter):
    """An arbiter that stops a worker only when its successor is ready."""

    num_workers: int
    _num_workers: int

    def begin(self) -> None:
        """Take over from Gunicorn's own arbiter, before its first worker."""
        super().begin()
        self._listeners = Listeners(self)
        self._readiness = Readiness(self.pid, self.log)
        #: Workers whose age is at most this belong to earlier generations, and are to be replaced.
        self._previous_age = 0
        self._trial: Trial | None = None
        #: Whether Gunicorn's reload runs, which forks the new workers.
        self._reloading = False
        #: The addresses that the configuration of the last dry run names.
        self._bind: list[str] | None = None
        #: The workers that ran at the last call of manage_workers(), and those forked since.
        self._known: dict[int, Any] = {}
        self._backoff = BootBackoff()
        self._observers = Observers(self)
        #: The number of generations so far.
        self._generations = SERVER_STATE.generation
        self._resolve_settings()
        self._observers.begin(self._settings.status_address)
        self._readiness.remove_stale(self._settings.readiness_file)
        SERVER_STATE.reloads_managed = True

    def _resolve_settings(self) -> None:
        self._settings = Settings.resolve(getattr(self.worker_class, "overrides", {}), os.environ)

    # Methods of Gunicorn's arbiter

    def reload(self) -> None:
        """Load the configuration and start a new generation, unless a dry run shows that it would fail."""
        bind = self.cfg.bind
        CODE_CHANGES.begin_reload()
        self._observers.reload_begins()
        self._bind = dry_run(self, self._observers.keep_alive)
        if self._bind is None or not self._listeners.change(self._bind):
            self._observers.reload_ends("refused")
            return
        trial = self._trial or Trial(self._previous_age, self.num_workers, SERVER_STATE.generation)
        before = self._previous_age, self._backoff
        self._previous_age, self._backoff = self.worker_age, BootBackoff()
        generation = SERVER_STATE.generation
        self._generations += 1
        SERVER_STATE.generation = self._generations
        self._reloading = True
        try:
            with SERVER_STATE.reload():
                super().reload()
        except NotReloadedError as failure:
            self._previous_age, self._backoff = before
            SERVER_STATE.generation = generation
            self._observers.reload_ends("refused")
            if self._trial is None:
                self._listeners.restore()
                self.cfg.set("bind", bind)
            log_failure(self.log, failure.error)
            log_refused(self.log, "the configuration cannot be loaded, see the messages above and on stderr")
            return
        finally:
            self._reloading = False
        trial.wanted = self.num_workers
        self._trial = trial
        self._resolve_settings()
        self._observers.change_status_address(self._settings.status_address)

    def setup(self, app: Any) -> None:
        """Take over the configuration, with the addresses that the dry run has found and the master listens on."""
        app.cfg.set("bind", self._bind)
        super().setup(app)

    def manage_workers(self) -> None:
        """Start workers that are missing, and stop those that are replaced."""
        if self._reloading:
            raise ReloadDone
        self._record_exits()
        self._end_trial()
        self._abort_slow_boots()
        self._spawn_missing()
        self._stop_replaced()
        pool = self._pool()
        self._readiness.update(self._settings.readiness_file, bool(pool.serving))
        self._observers.update(pool, settled=self._trial is None and pool.is_settled)
        # Gunicorn's method reports the number of workers. Nothing is left for it to start or to stop.
        wanted, self._num_workers = self._num_workers, len(self.WORKERS)
        try:
            super().manage_workers()
        finally:
            self._num_workers = wanted

    def spawn_worker(self) -> int:
        """Fork a worker; the worker's process does not return."""
        SERVER_STATE.next_number = self._pool().free_number
        with left_to_worker(self.cfg, self.LISTENERS):
            try:
                with worker_exits(self.pid):
                    pid: int = super().spawn_worker()
            except OSError as error:
                self.log.error("A worker could not be forked: %s. Check the limits of processes and memory.", error)
                self._pause()
                return 0
        worker = self._known[pid] = self.WORKERS[pid]
        worker.born = monotonic()
        self._observers.worker_forked(worker)
        return pid

    def reexec(self) -> None:
        """Start another master beside this one."""
        with self._observers.left_to_second_master(), SHARED_FILE.left_to_second_master(self.cfg.env_orig):
            super().reexec()

    def kill_worker(self, pid: int, sig: int) -> None:
        """Send a signal. If it stops the worker, set an order too, because a worker may miss signals while it boots."""
        if pid in self.WORKERS:
            state = state_of(self.WORKERS[pid])
            if sig in STOPPING:
                state.order = state.order or Order.STOP
            elif sig == signal.SIGABRT:
                state.aborted = True
        super().kill_worker(pid, sig)

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers."""
        self._readiness.update(self._settings.readiness_file, False)
        self._observers.stop()
        super().stop(graceful)
        self._observers.end()

    # The steps of manage_workers()

    def _pool(self) -> WorkerPool:
        return WorkerPool(list(self.WORKERS.values()), self._previous_age)

    def _record_exits(self) -> None:
        """Count the attempt to boot if it has failed since the last call. Reset the backoff if one has succeeded."""
        gone = [worker for pid, worker in self._known.items() if self.WORKERS.get(pid) is not worker]
        self._known = dict(self.WORKERS)
        # The workers of one attempt may exit one after the other. After the first, the others are not included.
        backoff = self._backoff
        if any(state_of(worker).phase == Phase.BOOTING and not state_of(worker).order
               and backoff.includes(worker.born) for worker in gone):
            if not SERVER_STATE.was_ready and backoff.failures + 1 >= FIRST_ATTEMPTS:
                raise HaltServer("No worker could boot.", Arbiter.WORKER_BOOT_ERROR)
            self._pause()
        booted = [*(worker for worker in gone if state_of(worker).phase == Phase.READY), *self._pool().current_ready]
        if backoff.failures and any(backoff.includes(worker.born) for worker in booted):
            self._backoff = BootBackoff()
            # The next failure may have another cause, so it is logged again.
            SERVER_STATE.boot_failure.renew()
        for worker in gone:
            self._observers.worker_gone(worker)

    def _pause(self) -> None:
        pause = self._backoff.fail()
        self._observers.boot_failed()
        if self._trial is None and not self._reloading:
            self.log.error("A worker failed to boot. Serving workers: %s. The next attempt is in %g s.",
                           len(self._pool().serving), pause)

    def _end_trial(self) -> None:
        trial, pool = self._trial, self._pool()
        if trial is None or (pool.current_booting and not pool.current_ready):
            return
        self._trial = None
        # If no boot has failed, a signal such as WINCH has stopped the new workers.
        if pool.current_ready or not self._backoff.failures or not self.num_workers:
            self._listeners.keep()
            return
        # Workers of the previous generation have booted before, so missing ones are started without a pause.
        self._backoff = BootBackoff()
        self._previous_age = trial.previous_age
        self._observers.reload_ends("failed")
        SERVER_STATE.generation = trial.generation
        self._listeners.restore()
        # If TTIN or TTOU has changed the number since, the changed number stays.
        if trial.num_workers != self.num_workers == trial.wanted:
            self.num_workers = trial.num_workers
        self.log.error("Reload failed: no new worker booted. The previous code stays in use. Serving workers: %s. "
                       "Correct the error above, then send HUP again.", len(self._pool().serving))

    def _abort_slow_boots(self) -> None:
        """Abort workers that boot for longer than ``boot_timeout``, as Gunicorn aborts those without a heartbeat."""
        limit = self._settings.boot_timeout
        for pid, worker in list(self.WORKERS.items()):
            if limit and state_of(worker).phase == Phase.BOOTING and monotonic() - worker.born > limit:
                if not worker.aborted:
                    self.log.critical("WORKER TIMEOUT (pid:%s): the worker did not boot within %g s (boot_timeout) "
                                      "and is aborted.", pid, limit)
                self.kill_worker(pid, signal.SIGKILL if worker.aborted else signal.SIGABRT)
                worker.aborted = True

    def _spawn_missing(self) -> None:
        if self._trial is not None:
            return
        pool = self._pool()
        missing = self.num_workers - len(pool.current)
        if self._backoff.failures and missing > 0:
            # One worker shows whether the application boots again.
            missing = 1 if self._backoff.is_due() and not pool.current_booting else 0
        for _ in range(missing):
            if not self.spawn_worker():
                break

    def _stop_replaced(self) -> None:
        # If the trial fails, the previous number of workers is needed again. So that many keep running until it ends.
        needed = self.num_workers if self._trial is None else max(self.num_workers, self._trial.num_workers)
        for worker in self._pool().superfluous(self.num_workers, needed):
            state_of(worker).order = Order.REPLACED
            self.kill_worker(worker.pid, signal.SIGTERM)
