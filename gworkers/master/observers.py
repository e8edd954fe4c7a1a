"""The observers of a server, and what the master tells them: the status process, systemd and statsd."""
from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import wraps
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, TypeVar, cast

from gworkers.master.figures import ServerFigures
from gworkers.master.service_manager import ServiceManager
from gworkers.master.statsd import Statsd
from gworkers.master.status_process import StatusProcess
from gworkers.shared_state import MEMORY
from gworkers.status.figures import STATUS_CLASSES
from gworkers.status.snapshot import Snapshot
from gworkers.systemd import NOTIFIER

if TYPE_CHECKING:
    from gworkers.master.worker_pool import WorkerPool

#: Seconds between two reports to systemd and statsd.
INTERVAL = 5.0

M = TypeVar("M", bound=Callable[..., None])


def contained(method: M) -> M:
    """Decorate a method of :class:`Observers`: an exception is logged, and the arbiter's loop continues."""
    @wraps(method)
    def guarded(self: Observers, *args: Any, **named: Any) -> None:
        try:
            method(self, *args, **named)
        except Exception:
            self.log_failure()

    return cast("M", guarded)


class Observers:
    """The observers of one server.

    :param arbiter: the master
    """

    def __init__(self, arbiter: Any) -> None:
        self._arbiter = arbiter
        NOTIFIER.release(os.environ)
        self._figures = ServerFigures(arbiter.pid)
        self._status = StatusProcess(arbiter)
        self._service_manager = ServiceManager(arbiter)
        self._statsd = Statsd(arbiter.log)
        self._last_report = monotonic()
        self._requests = 0.0
        self._failed = False

    def log_failure(self) -> None:
        """Log the exception that is being handled. The first one is enough, because it would be repeated."""
        if not self._failed:
            self._failed = True
            self._arbiter.log.error("The state of the server cannot be reported. The server continues, but its "
                                    "status, systemd and statsd may get wrong figures.", exc_info=True)

    def begin(self, status_address: str | None) -> None:
        """The server starts.

        :raises SystemExit: if the address cannot be bound
        """
        self._status.begin(status_address)

    @contained
    def update(self, pool: WorkerPool, *, settled: bool) -> None:
        """Tell the observers the present state. Call this at least once a second.

        :param settled: whether no reload is on trial, and no worker boots or is to be replaced
        """
        if settled and self._figures.is_reloading:
            self.reload_ends("done")
        serves = bool(pool.serving)
        self._publish()
        self._status.maintain(serves)
        self._service_manager.update(serves=serves)
        if monotonic() - self._last_report >= INTERVAL:
            self._report()

    @contained
    def keep_alive(self) -> None:
        """Show that the master runs. Call this during longer waits."""
        self._service_manager.keep_alive()

    @contained
    def worker_forked(self, worker: Any) -> None:
        """*worker* has been forked."""
        if not hasattr(worker, "identity"):
            self._figures.describe(worker)

    @contained
    def worker_gone(self, worker: Any) -> None:
        """*worker* has ended."""
        self._figures.log_aborted(worker, self._arbiter.log)
        self._figures.retire(worker)

    @contained
    def boot_failed(self) -> None:
        """An attempt to boot a worker has failed."""
        self._figures.count("failed_boots")

    @contained
    def reload_begins(self) -> None:
        """A reload begins."""
        self._figures.begin_reload()
        self._publish()
        self._service_manager.reload_begins()

    @contained
    def reload_ends(self, outcome: str) -> None:
        """The reload has ended. :meth:`ServerFigures.end_reload` describes the *outcome*."""
        self._figures.end_reload(outcome)
        self._service_manager.reload_ends()

    @contained
    def change_status_address(self, address: str | None) -> None:
        """A reload has set ``status_address`` to *address*."""
        self._status.change(address)

    def left_to_second_master(self) -> AbstractContextManager[None]:
        """Return the context in which a second master starts."""
        environ = self._arbiter.cfg.env_orig
        NOTIFIER.release(environ)
        return self._status.left_to_second_master(environ)

    @contained
    def stop(self) -> None:
        """The server begins to stop."""
        if os.getpid() != self._arbiter.pid:
            # A forked process that has failed.
            return
        self._figures.stop()
        self._publish()
        self._service_manager.stop()

    @contained
    def end(self) -> None:
        """All workers have stopped."""
        self._status.end()

    def _publish(self) -> None:
        self._figures.publish(self._arbiter.cfg, self._arbiter.LISTENERS)

    def _report(self) -> None:
        now = monotonic()
        seconds, self._last_report = now - self._last_report, now
        if not (self._service_manager.wants_figures or self._statsd.wants_figures):
            return
        snapshot = Snapshot(MEMORY.fd)
        requests = sum(snapshot.totals.get(f"requests_{name}", 0) for name in STATUS_CLASSES)
        self._service_manager.report(snapshot, (requests - self._requests) / seconds)
        self._requests = requests
        self._statsd.report(snapshot)
