"""The worker classes: one Gunicorn worker process that serves, and what its master asks of it."""
from __future__ import annotations

import gc
import os
import posix
import signal
import sys
from random import randint
from typing import TYPE_CHECKING, Any

from gworkers import hubs
from gworkers.checks import config_file, configuration, deployment, requirements
from gworkers.errors import RequirementError, SettingsError, StartError
from gworkers.findings import invalid_setting
from gworkers.master.generations import install_when_ready
from gworkers.serving import fork
from gworkers.settings import Settings
from gworkers.shared_state import SERVER_STATE, Order, Phase
from gworkers.worker import drain
from gworkers.worker.boot import BootableWorker
from gworkers.worker.memory import resident
from gworkers.worker.own_sockets import OwnSocket

if TYPE_CHECKING:
    from types import FrameType

    from gworkers.serving.server import Server

#: Seconds between two heartbeats, unless ``timeout`` is so short that they must be closer.
HEARTBEAT = 1.0
#: Seconds until log lines that a reader has not taken are tried again.
LOG_RETRY = 0.05


class GreenWorker(BootableWorker):
    """What all green workers do; a subclass names its hub."""

    #: whether to go on serving; a signal or a hook clears it
    alive: bool
    server: Server

    # What the master asks, of the class

    @classmethod
    def configure(cls, **settings: object) -> type[GreenWorker]:
        """Return a worker class with gworkers' own *settings*, for ``worker_class`` in gunicorn.conf.py.

        They are checked when Gunicorn starts, so that a mistake is one line there and no traceback here.
        """
        return type(cls.__name__, (cls,), {"overrides": {**cls.overrides, **settings}, "__module__": cls.__module__})

    @classmethod
    def setup(cls) -> None:
        """Gunicorn's master has looked the class up: check what can be known before the fork.

        :raises RequirementError: if the runtime is not what a green worker needs
        :raises SettingsError: if one of gworkers' settings cannot be used
        """
        try:
            if not hasattr(cls, "hub_name"):
                raise SettingsError(invalid_setting(
                    f"the worker class {cls.__name__} has no hub", "others are made of it",
                    "Use GeventWorker or EventletWorker"))
            Settings.resolve(cls.overrides, os.environ)
            for finding in requirements.check(requirements.inspect_runtime(hubs.HUBS[cls.hub_name].library)):
                if finding.fatal:
                    raise RequirementError(finding)
        except StartError as error:
            if not SERVER_STATE.reloading:
                raise
            # The dry run has found nothing, so this is new; raised here it would stop the server.
            sys.stderr.write(f"Error: {error}\n")

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what a green worker cannot do, and warn of what will hurt. Gunicorn's master calls it once, at start.

        :raises SettingsError: naming the setting
        :raises RequirementError: if the application was loaded before the patch
        """
        # Again, because Gunicorn has only now put raw_env into the environment.
        settings = Settings.resolve(cls.overrides, os.environ)
        configuration.refuse_invalid(cfg, settings, cls.hub_name)
        library = hubs.HUBS[cls.hub_name].library
        for finding in (*requirements.check(requirements.inspect_runtime(library)), *config_file.check(cfg, cls),
                        *deployment.check(cfg, library)):
            if finding.code not in settings.silence:
                log.warning("%s", finding)
        install_when_ready(cfg)

    @classmethod
    def dry_run(cls, arbiter: Any) -> None:
        """Do what a worker does before it loads the application, in a process that ends afterwards.

        :raises StartError: if that is not possible
        """
        cls(0, os.getppid(), [], arbiter.app, 0, arbiter.app.cfg, arbiter.log).prepare()

    # What a process does that has booted

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.worker_connections = self.cfg.worker_connections
        self._max_rss = 0
        self._quit = False
        #: false once the self-check has found what it cannot repair; then the heartbeat stops
        self._healthy = True
        self._reopen_logs = False
        #: whether log lines wait for their reader
        self._log_waits = False

    def run(self) -> None:
        """Serve, then drain. Called by Gunicorn's base class once the application is loaded."""
        from gworkers.serving.self_check import SelfCheck
        from gworkers.serving.server import Server

        # Until there is a server, a failure is one to boot, which stops Gunicorn, not one to try again for ever.
        self.booted = False
        for sock in self.sockets:
            if isinstance(sock, OwnSocket):
                sock.listen(self.cfg.backlog)
        self.server = Server(self, self.hub, self.settings, self.wake)
        self._self_check = SelfCheck(self.server)
        self.booted = True
        fork.watch(self)
        self._limit_memory()
        self._reopen_if_told()
        self.server.start()
        self._enter(Phase.READY)
        while self.alive:
            self.beat(LOG_RETRY if self._log_waits else HEARTBEAT)
            self._write_log()
            self._check_server()
            self.server.trim()
            if self._max_rss and resident() > self._max_rss:
                self._retire("the worker has more than %s bytes of memory", self._max_rss)
        self._enter(Phase.DRAINING)
        drain.drain(self)
        if hasattr(gc, "freeze"):
            # Python would look through all that the application has made before it lets the process end.
            gc.freeze()

    def _enter(self, phase: Phase) -> None:
        """Tell the master, which may have waited for it, how far this worker is."""
        self.state.phase = phase
        if phase == Phase.READY:
            SERVER_STATE.record_ready()
        try:
            os.kill(self.ppid, signal.SIGCHLD)
        except (PermissionError, ProcessLookupError):
            # The master is root and this process is not, and it looks once a second by itself; or it has died.
            pass

    def _limit_memory(self) -> None:
        limit = self.settings.max_rss
        if limit and resident() > limit:
            self.server.log.warning("max_rss is %s bytes, but the worker has %s before its first request: it is not "
                                    "applied, because every worker would be recycled at once. Raise it.",
                                    limit, resident())
        elif limit:
            self._max_rss = limit + randint(0, self.settings.max_rss_jitter)

    @property
    def is_replaced(self) -> bool:
        """Whether others accept in this worker's place."""
        return self.state.order == Order.REPLACED

    def beat(self, seconds: float) -> None:
        """Tell the arbiter that all is well, then wait for a signal or a wake-up, at most for *seconds*."""
        if self._healthy:
            self.notify()
        if self.timeout:
            # Gunicorn hands over half of the configured timeout; a beat is due well within the whole.
            seconds = min(seconds, self.timeout / 2)
        woken = self.hub.wait_readable(self.PIPE[0], seconds)
        while self.forking_greenlet is not None:
            # This is no worker any more, but a process whose end is up to whoever has forked it.
            if self.forking_greenlet.dead:
                fork.exit_forked_child(self, None)
            self.hub.wait_readable(self.PIPE[0], HEARTBEAT)
        if woken:
            posix.read(self.PIPE[0], 4096)
        self._reopen_if_told()
        # Some are imported by the request that first needs them.
        self.warn(self.server.log, self.new_drivers())
        self.exit_if_asked()

    def _write_log(self) -> None:
        self._log_waits = self.log_streams.flush()
        dropped = self.log_streams.dropped()
        if dropped:
            self.server.log.warning("%s log lines were dropped because nothing reads the log. Check its reader.",
                                    dropped)

    def _check_server(self) -> None:
        if self._healthy and not self._self_check.run():
            self._healthy = False
            self.server.log.error("The worker (pid:%s) cannot repair itself and stops its heartbeat, so that the "
                                  "arbiter replaces it after the timeout.", self.pid)

    def _reopen_if_told(self) -> None:
        if self._reopen_logs:
            self._reopen_logs = False
            # Not here: a handler that hangs holds its lock.
            self.server.log.enqueue_always(self.log_streams.reopen)

    def exit_if_asked(self) -> None:
        """Leave at once if a signal has said so."""
        if self._quit:
            self.cfg.worker_int(self)
            sys.exit(0)

    def wake(self) -> None:
        """End the pause between two beats. May be called in the hub, and in a signal handler."""
        try:
            # os.write may be patched, and this is called in the hub, which must not wait.
            posix.write(self.PIPE[1], b".")
        except BlockingIOError:
            # It is full of wake-ups already.
            pass

    def notify(self) -> None:
        """Beat the heart, and leave if the master has gone."""
        super().notify()
        if self.ppid != os.getppid():
            if self.alive:
                self.server.log.info("Parent changed, shutting down: %s", self)
            self.alive = False

    def recycle(self) -> None:
        """Make way for a successor: ``max_requests`` have been served."""
        if self.state.phase == Phase.READY:
            self._retire("the worker has served %s requests", self.nr)

    def _retire(self, reason: str, *args: object) -> None:
        """Go on until there is a successor, if there is somebody to see to it."""
        if self.state.phase != Phase.READY:
            return
        self.server.log.info(f"Recycling the worker (pid:%s): {reason}", self.pid, *args)
        if SERVER_STATE.reloads_managed:
            self._enter(Phase.RETIRING)
        else:
            self.alive = False
            self.wake()

    # Signals. Handlers run in whatever greenlet is running, the hub's too, which must not block:
    # they leave a note for the main greenlet, which the wake-up descriptor has woken.

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: serve what has been begun, then leave."""
        if self.state.phase == Phase.BOOTING:
            super().handle_exit(sig, frame)
        self.alive = False

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """SIGQUIT and SIGINT: leave at once."""
        if self.state.phase == Phase.BOOTING:
            super().handle_quit(sig, frame)
        self.alive = False
        self._quit = True

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        """SIGUSR1: reopen the log files."""
        self._reopen_logs = True

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """SIGABRT: the arbiter has had no heartbeat for ``timeout`` seconds."""
        self.aborting = True
        super().handle_abort(sig, frame)


class GeventWorker(GreenWorker):
    """Serves on gevent."""

    hub_name = "gevent"


class EventletWorker(GreenWorker):
    """Serves on eventlet."""

    hub_name = "eventlet"
