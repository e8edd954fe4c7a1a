"""The way of a worker process from the fork to its first connection, and off it."""
from __future__ import annotations

import os
import signal
import sys
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, ClassVar, NoReturn

from gunicorn.workers.base import Worker

from gworkers import hubs
from gworkers.checks import application, configuration, drivers, patching
from gworkers.error_text import AppImportError, actual_error, describe, print_traceback, trim_traceback
from gworkers.errors import SettingsError, StartError
from gworkers.findings import Finding
from gworkers.gunicorn_compat import optional, works
from gworkers.gunicorn_internals import Feature
from gworkers.logs.streams import LogStreams
from gworkers.serving.fork import exit_forked_child
from gworkers.settings import Settings, load_hook
from gworkers.shared_state import SERVER_STATE, Phase, WorkerState
from gworkers.worker import post_patch, psycopg
from gworkers.worker.drain import end_within
from gworkers.worker.own_sockets import open_own

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import FrameType

    from gworkers.hubs.base import Hub

#: Exit statuses that Gunicorn's arbiter does not answer with another attempt.
APP_LOAD_ERROR = optional("gunicorn.arbiter:Arbiter.APP_LOAD_ERROR", 4)
WORKER_BOOT_ERROR = optional("gunicorn.arbiter:Arbiter.WORKER_BOOT_ERROR", 3)
#: An application that shows a text; Gunicorn's.
make_fail_app = optional("gunicorn.util:make_fail_app", None)
#: Modules whose functions hold locks, or are about to. Who leaves in the midst of them may find them locked for ever.
LOCKING = frozenset((
    "logging", "threading", "queue", "gevent.lock", "gevent.thread", "gevent.threading", "eventlet.semaphore",
    "eventlet.green.thread", "eventlet.green.threading",
    # It takes one whenever a function is called for the first time.
    "coverage.collector"))
FIX_ERROR = "Correct this error, then start or reload Gunicorn"
#: Seconds until a worker that was told to leave looks again whether it can; and how often, at most.
RETRY, RETRIES = 0.01, 50
#: Seconds until it is told again, if it has not heard.
AGAIN = 0.5


class BootableWorker(Worker):  # type: ignore[misc]
    """A worker that does not serve yet.

    Gunicorn makes the object in its master and calls :meth:`init_process` after the fork.
    """

    hub_name: ClassVar[str]
    #: what ``configure()`` was given
    overrides: ClassVar[Mapping[str, object]] = {}
    #: what the process listens on: Gunicorn's sockets, or its own
    sockets: list[Any]
    hub: Hub
    settings: Settings
    log_streams: LogStreams
    #: whether it is this worker that logs what all have in common
    logs_shared_findings = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state = WorkerState()
        #: whether SIGABRT is ending the process
        self.aborting = False
        #: the greenlet of the application that has forked this process from a worker; it is none any more
        self.forking_greenlet: Any = None
        #: whether the process ends before it has served anything, because it was told to
        self._leaving = False
        self._retries = 0
        #: how many modules there were, and which drivers among them, when they were last looked at
        self._modules = 0
        self._drivers: set[str] = set()

    def init_process(self) -> None:
        """Become a worker: patch, load the application, serve until told to stop."""
        # Until Gunicorn sees to it the handlers are the master's, which do nothing here.
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.signal(signal.SIGQUIT, self.handle_quit)
        signal.signal(signal.SIGINT, self.handle_quit)
        signal.signal(signal.SIGUSR1, self.handle_usr1)
        if self.state.order:
            self._end(0)
        try:
            self._boot()
        except SystemExit as error:
            if self.forking_greenlet is not None:
                exit_forked_child(self, error)
            if self.state.phase != Phase.BOOTING or self.aborting:
                raise
            if self._leaving:
                self._end(0)
            self._give_up(self._unloadable(error), APP_LOAD_ERROR)
        except AppImportError as error:
            self._give_up(self._unloadable(error), APP_LOAD_ERROR)
        except StartError as error:
            self._give_up(error, WORKER_BOOT_ERROR)
        except Exception as error:
            if self.state.phase != Phase.BOOTING:
                raise
            self._give_up(self._unloadable(error), WORKER_BOOT_ERROR)

    def _boot(self) -> None:
        if not self.sockets:
            self.sockets = open_own(self.cfg)
        self.logs_shared_findings = SERVER_STATE.warnings.claim()
        self.warn(self.log, self.prepare())
        self.log_streams = LogStreams(self.log, self.hub)
        super().init_process()

    def _give_up(self, error: StartError, status: int) -> NoReturn:
        """End a worker that cannot boot, and Gunicorn with it, unless there have been others that could."""
        if self._leaving:
            self._end(0)
        # After 1 the arbiter does not stop, but tries again.
        goes_on = SERVER_STATE.was_ready and SERVER_STATE.reloads_managed
        try:
            if SERVER_STATE.boot_failure.claim():
                self.log.error("%s", error, exc_info=error.__cause__)
            elif goes_on:
                self.log.error("%s", error)
        except Exception as failure:
            # A log handler that fails must not change the status below.
            print_traceback(failure)
        self._end(1 if goes_on else status)

    def prepare(self) -> list[Finding]:
        """Patch the standard library, and what else has to be by then, and make the hub; return what came too late.

        :raises StartError: if that is not possible
        """
        self.settings = Settings.resolve(self.overrides, os.environ)
        imported = patching.modules_before_patch(self.hub_name, self.settings.patch)
        # eventlet goes on after an exception while it patches, and reports it; a handler's is not to come then.
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT))
        try:
            hubs.patch(self.hub_name, self.settings.patch)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        if self.settings.psycopg2 == "wait":
            psycopg.install()
        if self.settings.post_patch is not None:
            self._post_patch()
        late = patching.check(imported) if self.logs_shared_findings else []
        # All of it, while the process still has the rights that it was started with.
        import_module("gworkers.serving.server")
        self.hub = hubs.create(self.hub_name)
        return late

    def _post_patch(self) -> None:
        try:
            post_patch.call(load_hook(self.settings.post_patch), self)
        except SettingsError:
            raise
        except (Exception, SystemExit) as error:
            if self._leaving or self.aborting:
                raise
            # A SystemExit carries its own reason; its traceback adds nothing.
            cause = error if isinstance(error, Exception) else None
            raise StartError(Finding(
                "worker-setup-failed", f"post_patch has raised {describe(error)}",
                "the application would be without what it prepares", "Fix it, or leave the setting out",
                fatal=True)) from cause

    def _unloadable(self, error: BaseException) -> StartError:
        rival = configuration.other_patch_finding(self.hub_name)
        if rival is not None:
            # Most likely the error is about that.
            return StartError(rival)
        passed = {frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)}
        if BootableWorker.load_wsgi.__code__ in passed:
            finding = application.load_failure(error, self.app, FIX_ERROR)
        else:
            hook = getattr(self.cfg.post_worker_init, "__code__", None) in passed
            found = "post_worker_init has raised" if hook else "a worker cannot be set up:"
            finding = Finding("worker-setup-failed", f"{found} {describe(error)}",
                              "workers end before they have served anything", FIX_ERROR, fatal=True)
        failure = StartError(finding)
        if application.is_raised_by_application(actual_error(error)):
            failure.__cause__ = trim_traceback(actual_error(error))
        return failure

    def load_wsgi(self) -> None:
        """Load the application, then look at what it has brought along.

        :raises StartError: if a worker cannot serve with that
        """
        try:
            super().load_wsgi()
            unfit = application.check(self.wsgi, self.app)
            if unfit:
                raise StartError(unfit[0])
        except Exception as error:
            if not (self.cfg.reload and works(Feature.ERROR_PAGE)):
                raise
            self._answer_with(error)
        rival = configuration.other_patch_finding(self.hub_name)
        if rival is not None:
            raise StartError(rival)
        found = self.new_drivers()
        if self.logs_shared_findings:
            self.warn(self.log, found)

    def _answer_with(self, error: Exception) -> None:
        """Show the developer what is wrong until a file changes, which Gunicorn does for a SyntaxError only."""
        files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
        failure = error if isinstance(error, StartError) else self._unloadable(error)
        cause = failure.__cause__
        self.log.error("%s", failure, exc_info=cause)
        for file in files:
            if self.reloader is not None and os.path.isfile(file):
                self.reloader.add_extra_file(file)
        self.wsgi = make_fail_app(
            "".join(traceback.format_exception(type(cause), cause, cause.__traceback__)) if cause else f"{failure}\n")

    def new_drivers(self) -> list[Finding]:
        """Return what is to be said of drivers that were imported since the last time."""
        if len(sys.modules) == self._modules:
            return []
        self._modules = len(sys.modules)
        return drivers.check(self.hub_name, self._drivers)

    def warn(self, log: Any, findings: Iterable[Finding]) -> None:
        """Log *findings* to *log*, except those that are silenced."""
        for finding in findings:
            if finding.code not in self.settings.silence:
                try:
                    log.warning("%s", finding)
                except Exception as error:
                    # A log handler that fails must not keep the worker from serving.
                    print_traceback(error)

    def init_signals(self) -> None:
        """Listen to signals, and to what the master has said while nobody listened."""
        super().init_signals()
        if self.state.order:
            self._leave()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: leave before anything has been served."""
        self.alive = False
        if not self._puts_off(self.handle_exit, frame):
            self._leave()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """SIGQUIT and SIGINT: the same."""
        self.alive = False
        if not self._puts_off(self.handle_quit, frame):
            self.cfg.worker_int(self)
            self._leave()

    def _leave(self) -> NoReturn:
        self._leaving = True
        # The application may swallow it.
        self._call_again(self.handle_exit, AGAIN)
        # And in a finalizer it ends nothing, but is reported.
        sys.unraisablehook = _report_unraisable
        sys.exit(0)

    def _end(self, status: int) -> NoReturn:
        # They would be an exception in the midst of the process's end.
        for sig in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
            signal.signal(sig, signal.SIG_IGN)
        end_within(self.cfg.graceful_timeout)
        sys.exit(status)

    def _puts_off(self, handler: Callable[[int, FrameType | None], None], frame: FrameType | None) -> bool:
        """Let the handler that has interrupted *frame* be called a little later, if to end there could mean to hang."""
        if self._retries == RETRIES or not _locks(frame):
            return False
        self._retries += 1
        self._call_again(handler, RETRY)
        return True

    def _call_again(self, handler: Callable[[int, FrameType | None], None], seconds: float) -> None:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _report_unraisable(unraisable: Any) -> None:
    if not isinstance(unraisable.exc_value, SystemExit):
        sys.__unraisablehook__(unraisable)


def _locks(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") in LOCKING:
            return True
        frame = frame.f_back
    return False
