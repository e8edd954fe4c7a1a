"""The worker classes: one Gunicorn worker process, from boot to exit."""
from __future__ import annotations

import os
import posix
import sys
from contextlib import contextmanager
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from gworkers import halt, hubs, psycopg, reload
from gworkers.checks import configuration, deployment, drivers, patching, requirements
from gworkers.checks.causes import told
from gworkers.checks.findings import Finding, setting
from gworkers.errors import RequirementError, SettingsError, StartError
from gworkers.once import Once
from gworkers.settings import Settings, function

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import FrameType

    from gworkers.hubs.base import Hub
    from gworkers.server import Server

#: Seconds between two heartbeats, unless ``timeout`` is so short that they must be closer.
HEARTBEAT = 1.0


class GreenWorker(Worker):  # type: ignore[misc]
    """What all green workers do; a subclass names its hub.

    Gunicorn makes the object in its master and calls :meth:`init_process` after the fork.
    """

    hub_name: ClassVar[str]
    _overrides: ClassVar[Mapping[str, object]] = {}

    #: whether the master is in the middle of a reload
    reloading: ClassVar[bool] = False
    #: shared by all workers: to log what is found, which is the same for all, and why there can be no worker
    warning: ClassVar[Once] = Once()
    refusal: ClassVar[Once] = Once()
    #: whether to go on serving; a signal, a hook or max_requests clears it
    alive: bool
    hub: Hub
    server: Server
    settings: Settings
    #: whether it is this worker that logs what all have in common
    _tells = True

    @classmethod
    def configure(cls, **settings: object) -> type[GreenWorker]:
        """Return a worker class with gworkers' own *settings*, for ``worker_class`` in gunicorn.conf.py.

        They are checked when Gunicorn starts, so that a mistake is one line there and no traceback here.
        """
        return type(cls.__name__, (cls,), {"_overrides": {**cls._overrides, **settings}, "__module__": cls.__module__})

    @classmethod
    def setup(cls) -> None:
        """Gunicorn's master has looked the class up: check what can be known before the fork.

        :raises RequirementError: if the runtime is not what a green worker needs
        :raises SettingsError: if one of gworkers' settings cannot be used
        """
        try:
            if not hasattr(cls, "hub_name"):
                raise SettingsError(setting(f"the worker class {cls.__name__} has no hub", "others are made of it",
                                            "Use GeventWorker or EventletWorker"))
            Settings.resolve(cls._overrides, os.environ)
            for finding in requirements.check(requirements.look(hubs.HUBS[cls.hub_name].library)):
                if finding.fatal:
                    raise RequirementError(finding)
        except StartError as error:
            if not GreenWorker.reloading:
                raise
            # The rehearsal has found nothing, so this is new; raised here it would stop the server.
            sys.stderr.write(f"Error: {error}\n")

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what a green worker cannot do, and warn of what will hurt. Gunicorn's master calls it once, at start.

        :raises SettingsError: naming the setting
        :raises RequirementError: if the application was loaded before the patch
        """
        # Again, because Gunicorn has only now put raw_env into the environment.
        settings = Settings.resolve(cls._overrides, os.environ)
        configuration.check(cfg, settings, cls.hub_name)
        library = hubs.HUBS[cls.hub_name].library
        for finding in (*requirements.check(requirements.look(library)), *deployment.check(cfg, library)):
            if finding.code not in settings.silence:
                log.warning("%s", finding)
        reload.attend(cfg, cls._guard)

    @classmethod
    def _guard(cls, arbiter: Any) -> None:
        halt.guard(arbiter)
        reload.guard(arbiter, during_reload)

    @classmethod
    def rehearse(cls, arbiter: Any) -> None:
        """Do what a worker does before it loads the application, in a process that ends afterwards.

        :raises StartError: if that is not possible
        """
        cls(0, os.getppid(), [], arbiter.app, 0, arbiter.app.cfg, arbiter.log).prepare()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.worker_connections = self.cfg.worker_connections
        #: whether SIGABRT is ending the process
        self.aborting = False
        self._quit = False
        self._reopen_logs = False
        #: whether there is somebody to read the notes that signals leave
        self._reads_notes = False
        #: how many modules there were, and which drivers among them, when they were last looked at
        self._modules = 0
        self._drivers: set[str] = set()

    # Boot

    def init_process(self) -> None:
        """Become a worker: patch, load the application, serve until told to stop."""
        self._tells = self.warning.claim()
        try:
            findings = self.prepare()
        except StartError as error:
            self._give_up(error, Arbiter.WORKER_BOOT_ERROR)
        self._warn(findings)
        super().init_process()

    def prepare(self) -> list[Finding]:
        """Patch the standard library, and what else has to be by then, and make the hub; return what came too late.

        :raises StartError: if that is not possible
        """
        self.settings = Settings.resolve(self._overrides, os.environ)
        before = patching.originals()
        hubs.patch(self.hub_name, self.settings.patch)
        if self.settings.psycopg2 == "wait":
            psycopg.install()
        if self.settings.post_patch is not None:
            self._post_patch()
        late = patching.check(before) if self._tells else []
        # All of it, while the process still has the rights that it was started with.
        import_module("gworkers.server")
        self.hub = hubs.create(self.hub_name)
        return late

    def _post_patch(self) -> None:
        try:
            function(self.settings.post_patch)(self)
        except SettingsError:
            raise
        except (Exception, SystemExit) as error:
            # Who ends the process has said why.
            raise StartError(Finding(
                "worker", f"post_patch has raised {told(error)}", "the application would be without what it prepares",
                "Mend it, or leave the setting out", fatal=True)) from (error if isinstance(error, Exception) else None)

    def _give_up(self, error: StartError, status: int) -> NoReturn:
        """End the worker, and Gunicorn with it: after any other *status* it would try again for ever."""
        if self.refusal.claim():
            self.log.error("%s", error, exc_info=error.__cause__)
        sys.exit(status)

    def load_wsgi(self) -> None:
        """Load the application, then look at what it has brought along."""
        try:
            super().load_wsgi()
        except SystemExit as error:
            if self._quit or self.aborting:
                raise
            self._give_up(StartError(Finding(
                "application", f"the application has ended the worker: {told(error)}",
                "nothing has been served yet", "Mend what is named", fatal=True)), Arbiter.APP_LOAD_ERROR)
        found = self._new_drivers()
        if self._tells:
            self._warn(found)

    def _new_drivers(self) -> list[Finding]:
        if len(sys.modules) == self._modules:
            return []
        self._modules = len(sys.modules)
        return drivers.check(self.hub_name, self._drivers)

    def _warn(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            if finding.code not in self.settings.silence:
                self.log.warning("%s", finding)

    def run(self) -> None:
        """Serve, then drain. Called by Gunicorn's base class once the application is loaded."""
        from gworkers.server import Server

        self._reads_notes = True
        # Until there is a server, a failure is one to boot, which stops Gunicorn, not one to try again for ever.
        self.booted = False
        self.server = Server(self, self.hub, self.settings, self._wake)
        self.booted = True
        self.server.start()
        while self.alive:
            self._beat(HEARTBEAT)
        self._drain()

    def _beat(self, seconds: float) -> None:
        """Tell the arbiter that all is well, then wait for a signal or a wake-up, at most for *seconds*."""
        self.notify()
        if self.timeout:
            # Gunicorn hands over half of the configured timeout; a beat is due well within the whole.
            seconds = min(seconds, self.timeout / 2)
        if self.hub.wait_readable(self.PIPE[0], seconds):
            posix.read(self.PIPE[0], 4096)
        if self._reopen_logs:
            self._reopen_logs = False
            self.log.reopen_files()
        # Some are imported by the request that first needs them.
        self._warn(self._new_drivers())
        self._quit_if_told()

    def _quit_if_told(self) -> None:
        if self._quit:
            self.cfg.worker_int(self)
            sys.exit(0)

    def _wake(self) -> None:
        try:
            # os.write may be patched, and this is called in the hub, which must not wait.
            posix.write(self.PIPE[1], b".")
        except BlockingIOError:
            # It is full of wake-ups already.
            pass

    def _drain(self) -> None:
        self._quit_if_told()
        self.server.stop()
        until = monotonic() + self.cfg.graceful_timeout
        while self.server.connection_count:
            left = until - monotonic()
            if left <= 0:
                cut = self.server.abort()
                self.log.warning("Worker graceful timeout (pid:%s): %s connections were cut", self.pid, cut)
                return
            self._beat(min(left, HEARTBEAT))

    def notify(self) -> None:
        """Beat the heart, and leave if the master has gone."""
        super().notify()
        if self.ppid != os.getppid():
            self.log.info("Parent changed, shutting down: %s", self)
            sys.exit(0)

    def recycle(self) -> None:
        """Make way for a successor: ``max_requests`` have been served."""
        if self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
            self._wake()

    # Signals. Handlers run in whatever greenlet is running, the hub's too, which must not block:
    # they leave a note for the main greenlet, which the wake-up descriptor has woken.

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """SIGQUIT and SIGINT: leave at once."""
        self.alive = False
        self._quit = True
        if not self._reads_notes:
            self._quit_if_told()

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        """SIGUSR1: reopen the log files."""
        self._reopen_logs = True

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """SIGABRT: the arbiter has had no heartbeat for ``timeout`` seconds."""
        self.aborting = True
        super().handle_abort(sig, frame)


@contextmanager
def during_reload() -> Iterator[None]:
    """Let the master know that it reloads, and the next workers that what they find is new."""
    GreenWorker.reloading = True
    GreenWorker.warning.renew()
    GreenWorker.refusal.renew()
    try:
        yield
    finally:
        GreenWorker.reloading = False


class GeventWorker(GreenWorker):
    """Serves on gevent."""

    hub_name = "gevent"


class EventletWorker(GreenWorker):
    """Serves on eventlet."""

    hub_name = "eventlet"
