"""An arbiter that survives errors that make Gunicorn's own arbiter stop the server."""
from __future__ import annotations

from typing import Any

from gunicorn.arbiter import Arbiter

from gworkers.gunicorn_compat import works
from gworkers.gunicorn_internals import Feature
from gworkers.master import signals
from gworkers.master.control_server import ControlServerStart
from gworkers.master.pidfile import PidfileKeeper
from gworkers.master.reaping import Reaper
from gworkers.master.reload import load_configuration
from gworkers.master.second_master import SecondMaster
from gworkers.master.stop import ServerStop


class ResilientArbiter(Arbiter):  # type: ignore[misc]
    """Gunicorn calls the methods of this class, which delegate to one object for each concern.

    The class is assigned to an existing arbiter, so there is no ``__init__``. :meth:`begin` is called instead.
    """

    pid: int
    WORKERS: dict[int, Any]
    LISTENERS: list[Any]

    def begin(self) -> None:
        """Create the objects that the arbiter holds, and take over its signals and its pidfile."""
        self._reaper = Reaper(self, super().reap_workers)
        self._server_stop = ServerStop(self, self._reaper)
        self._control_server_start = ControlServerStart()
        self._second_master = SecondMaster(self)
        self._pidfile_keeper = PidfileKeeper(self)
        signals.keep_all(self)

    # Workers

    def reap_workers(self) -> None:
        """Reap the workers that have ended."""
        # Gunicorn 23 calls this in a signal handler, where a log line could interrupt another one, and an exception
        # could be raised in any code. Its loop calls murder_workers() directly afterwards.
        if not signals.GUNICORN_23:
            self._reaper.reap()

    def murder_workers(self) -> None:
        """Kill the workers without a heartbeat. The arbiter's loop calls this after all signals."""
        self._reaper.reap()
        self._reaper.raise_reason()
        super().murder_workers()

    def kill_workers(self, sig: int) -> None:
        """Send a signal to all workers. If it stops the server, wait until they have ended."""
        super().kill_workers(sig)
        self._server_stop.wait_for_workers()

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers, whatever their exit statuses."""
        self._server_stop.begin()
        super().stop(graceful)
        # Workers that Gunicorn had to kill.
        self._reaper.reap()

    # Signals

    def wait_for_signals(self, *args: Any, **kwargs: Any) -> list[int]:
        """Return the signals that are due. Gunicorn 23 does not call this."""
        return signals.due(super().wait_for_signals(*args, **kwargs))

    # The control server

    def _start_control_server(self, *args: Any) -> None:
        super()._start_control_server(*args)
        if works(Feature.CONTROL_SERVER):
            self._control_server_start.watch(self._control_server)

    def _stop_control_server(self, *args: Any) -> None:
        self._control_server_start.wait()
        super()._stop_control_server(*args)

    # Two masters

    def reexec(self) -> None:
        """Start another master beside this one."""
        self._second_master.start(super().reexec)

    def maybe_promote_master(self) -> None:
        """Become the only master if the first one has exited. The arbiter's loop calls this before it takes signals."""
        signals.sort_queue(self)
        self._second_master.promote(super().maybe_promote_master)

    # The configuration

    def setup(self, app: Any) -> None:
        """Take over the configuration."""
        super().setup(app)
        self._pidfile_keeper.hide(self.cfg)

    def reload(self) -> None:
        """Load the configuration and start workers.

        :raises NotReloadedError: if the configuration cannot be loaded
        """
        with self._pidfile_keeper.reload():
            load_configuration(self, super().reload)
