"""The boot of a worker process, from the fork to the loaded application."""
from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from gworkers import hubs
from gworkers.checks import application, async_views, configuration, database_connections, libraries, patching
from gworkers.code_changes import CODE_CHANGES
from gworkers.django_views import load_views
from gworkers.error_text import AppImportError, describe, print_traceback
from gworkers.errors import SettingsError, StartError
from gworkers.findings import Finding
from gworkers.gunicorn_compat import optional, works
from gworkers.gunicorn_internals import Feature
from gworkers.logs.streams import LogStreams
from gworkers.serving.fork import exit_forked_child
from gworkers.settings import Settings, load_hook
from gworkers.shared_state import SERVER_STATE, Phase
from gworkers.status.figures import store
from gworkers.worker import code_watch, post_patch, psycopg
from gworkers.worker.boot_failure import blamed_files, serve_error_page, start_error
from gworkers.worker.boot_signals import InterruptibleWorker
from gworkers.worker.own_sockets import open_own_sockets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gworkers.hubs.base import Hub

#: Exit statuses after which Gunicorn's arbiter does not boot another worker.
APP_LOAD_ERROR = optional("gunicorn.arbiter:Arbiter.APP_LOAD_ERROR", 4)
WORKER_BOOT_ERROR = optional("gunicorn.arbiter:Arbiter.WORKER_BOOT_ERROR", 3)


class BootableWorker(InterruptibleWorker):
    """A worker up to the point where it starts to serve.

    Gunicorn creates the object in the master and calls :meth:`init_process` after the fork.
    """

    hub_name: ClassVar[str]
    #: the arguments of ``configure()``
    overrides: ClassVar[Mapping[str, object]] = {}
    #: the listening sockets: those of the master, or the worker's own with ``reuse_port``
    sockets: list[Any]
    hub: Hub
    settings: Settings
    log_streams: LogStreams
    #: whether this worker logs the findings that are the same in all workers
    logs_shared_findings = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: true while SIGABRT ends the process
        self.aborting = False
        #: whether an error page is served in place of the application
        self.serves_error_page = False
        #: the greenlet of the application that has forked this process from a worker; None in a worker
        self.forking_greenlet: Any = None
        #: whether async views were found at boot that need the setting asyncio_thread
        self.has_async_views = False
        #: the number of imported modules at the last check of libraries
        self._module_count = 0
        self._reported_libraries: set[str] = set()

    def init_process(self) -> None:
        """Become a worker: patch, load the application, and serve until a signal stops the worker."""
        self.install_boot_handlers()
        self.identity["pid"] = float(self.pid)
        with self.state.slot.writing():
            store(self.state.slot, self.identity)
        os.environ["GWORKERS_NUMBER"] = str(self.number)
        os.environ["GWORKERS_SLOT"] = str(self.slot)
        try:
            self._boot()
        except SystemExit as error:
            if self.forking_greenlet is not None:
                exit_forked_child(self, error)
            if self.state.phase != Phase.BOOTING or self.aborting:
                raise
            if self._exiting:
                self._exit_booting(0)
            self._fail(start_error(self, error), APP_LOAD_ERROR)
        except AppImportError as error:
            self._fail(start_error(self, error), APP_LOAD_ERROR)
        except StartError as error:
            self._fail(error, WORKER_BOOT_ERROR)
        except Exception as error:
            if self.state.phase != Phase.BOOTING:
                raise
            self._fail(start_error(self, error), WORKER_BOOT_ERROR)

    def _boot(self) -> None:
        if not self.sockets:
            self.sockets = open_own_sockets(self.cfg)
        self.logs_shared_findings = SERVER_STATE.warnings.claim()
        self.log_warnings(self.log, self.prepare())
        self.log_streams = LogStreams(self.log, self.hub)
        if self.cfg.reload and works(Feature.RELOADER):
            code_watch.install(self, import_module("gunicorn.reloader").reloader_engines)
        super().init_process()

    def _fail(self, error: StartError, status: int) -> NoReturn:
        """Log *error* and exit with *status*, which stops Gunicorn, unless a worker has been ready before."""
        if self._exiting:
            self._exit_booting(0)
        # After exit status 1 the arbiter does not stop, but boots another worker.
        arbiter_retries = SERVER_STATE.was_ready and SERVER_STATE.reloads_managed
        try:
            if SERVER_STATE.boot_failure.claim():
                self.log.error("%s", error, exc_info=error.__cause__)
            elif arbiter_retries:
                self.log.error("%s", error)
        except Exception as failure:
            # A failing log handler must not change the exit status.
            print_traceback(failure)
        self._exit_booting(1 if arbiter_retries else status)

    def prepare(self) -> list[Finding]:
        """Patch the standard library, create the hub and call ``post_patch``. Return findings about the patch.

        :raises StartError: if one of these steps fails
        """
        self.settings = Settings.resolve(self.overrides, os.environ)
        imported = patching.modules_before_patch(self.hub_name, self.settings.patch)
        # eventlet catches and reports exceptions while it patches, even the SystemExit of a signal handler.
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT))
        try:
            hubs.patch(self.hub_name, self.settings.patch)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        # Before post_patch, because threads that it starts wait on this hub.
        self.hub = hubs.create(self.hub_name)
        if self.settings.psycopg2 == "wait":
            psycopg.install_wait_callback()
        if self.settings.asyncio_thread:
            asyncio_patch = import_module("gworkers.coroutines.asyncio_patch")
            asyncio_patch.install()
        if self.settings.post_patch is not None:
            self._call_post_patch()
        findings = patching.check(imported) if self.logs_shared_findings else []
        # Import the server now, before the process drops the privileges that it may need to read the files.
        import_module("gworkers.serving.server")
        import_module("gworkers.watch.watchdog")
        return findings

    def _call_post_patch(self) -> None:
        try:
            post_patch.call(load_hook(self.settings.post_patch), self)
        except SettingsError:
            raise
        except (Exception, SystemExit) as error:
            if self._exiting or self.aborting:
                raise
            # The traceback of a SystemExit is not useful.
            cause = error if isinstance(error, Exception) else None
            raise StartError(Finding(
                "worker-setup-failed", f"post_patch has raised {describe(error)}",
                "the application would run without this preparation", "Correct this error, or remove the setting",
                fatal=True)) from cause

    def load_wsgi(self) -> None:
        """Load the application and check it and the modules that it has imported.

        :raises StartError: if a worker cannot serve it
        """
        try:
            # Gunicorn's method does the same, but with the setting reload it serves a page for a SyntaxError.
            self.wsgi = self.app.wsgi()
            findings = application.check(self.wsgi, self.app)
            if findings:
                raise StartError(findings[0])
            django_views = load_views()
        except Exception as error:
            if not (self.cfg.reload and works(Feature.RELOADER)):
                raise
            CODE_CHANGES.blame(blamed_files(error))
            if SERVER_STATE.was_ready and SERVER_STATE.reloads_managed:
                # The workers with the previous code continue to serve.
                raise
            serve_error_page(self, error)
            django_views = []
        conflict = configuration.other_patch_finding(self.hub_name)
        if conflict is not None:
            raise StartError(conflict)
        views = async_views.check(self.wsgi, django_views, self.settings.asyncio_thread)
        self.has_async_views = bool(views)
        findings = [*self.check_new_libraries(), *views]
        if self.logs_shared_findings:
            self.log_warnings(self.log, [*findings, *database_connections.check(self.cfg, self.settings)])

    def check_new_libraries(self) -> list[Finding]:
        """Return findings about libraries that were imported since the last call."""
        if len(sys.modules) == self._module_count:
            return []
        self._module_count = len(sys.modules)
        return libraries.check(self.hub_name, self.settings, self._reported_libraries)

    def log_warnings(self, log: Any, findings: Iterable[Finding]) -> None:
        """Log *findings* to *log*, except those that are silenced."""
        for finding in findings:
            if finding.code not in self.settings.silence:
                try:
                    log.warning("%s", finding)
                except Exception as error:
                    # A failing log handler must not stop the worker.
                    print_traceback(error)
