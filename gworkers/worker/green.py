"""The worker classes: a worker process that serves until a signal or a hook stops it."""
from __future__ import annotations

import gc
import os
import posix
import signal
import sys
from math import inf
from random import randint
from time import monotonic
from typing import TYPE_CHECKING, Any

from gworkers.background.shared_file import SHARED_FILE
from gworkers.coroutines import runner
from gworkers.coroutines.probe import AsyncioProbe
from gworkers.serving import fork
from gworkers.shared_state import SERVER_STATE, Order, Phase
from gworkers.thread_locals import close_connections
from gworkers.worker import drain
from gworkers.worker.configurable import ConfigurableWorker
from gworkers.worker.memory import resident_bytes
from gworkers.worker.own_sockets import OwnSocket

if TYPE_CHECKING:
    from types import FrameType

    from gworkers.background.scheduler import Scheduler
    from gworkers.coroutines.runner import Runner
    from gworkers.serving.server import Server
    from gworkers.watch.watchdog import Watchdog
    from gworkers.worker.publisher import Publisher

#: Seconds until log lines that a reader has not accepted are written again.
LOG_RETRY = 0.05


class GreenWorker(ConfigurableWorker):
    """A worker that serves each request in a greenlet. A subclass names its hub."""

    #: whether the worker continues to serve; signals and hooks clear it
    alive: bool
    server: Server
    scheduler: Scheduler
    loop_runner: Runner
    watchdog: Watchdog
    _publisher: Publisher

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.worker_connections = self.cfg.worker_connections
        # In the master, before the fork.
        SHARED_FILE.open()
        self._max_rss = 0
        self._quit_requested = False
        #: false once the self-check has found a problem that it cannot repair; then the heartbeat stops
        self._healthy = True
        self._reopen_requested = False
        #: whether log lines are buffered because the reader has not accepted them
        self._log_pending = False

    def run(self) -> None:
        """Serve, then drain. Gunicorn calls this after the application is loaded."""
        from gworkers.background.current import CURRENT_WORKER
        from gworkers.background.scheduler import Scheduler
        from gworkers.serving.self_check import SelfCheck
        from gworkers.serving.server import Server
        from gworkers.watch.watchdog import Watchdog
        from gworkers.worker.publisher import Publisher

        # An error before the server exists is a boot failure, which stops Gunicorn. Otherwise Gunicorn would boot
        # workers forever.
        self.booted = False
        for sock in self.sockets:
            if isinstance(sock, OwnSocket):
                sock.listen(self.cfg.backlog)
        self.server = Server(self, self.hub, self.settings, self.wake)
        self.loop_runner = runner.install(self.hub, self.server.log)
        self._asyncio_probe = AsyncioProbe(
            self.hub, lambda: list(self.server.greenlets.active),
            lambda finding: self.log_warnings(self.server.log, [finding]),
            asyncio_thread=self.settings.asyncio_thread, already_reported=self.has_async_views)
        self._asyncio_probe.install()
        self.scheduler = Scheduler(self.server, self.number, self.cfg.workers)
        self._self_check = SelfCheck(self.server, self.scheduler)
        self.watchdog = Watchdog(self.server, self.loop_runner, self.state, self.log, self.settings.block_warning,
                                 {"send": CURRENT_WORKER.control})
        self._publisher = Publisher(self.server, self.watchdog, self.state, self.identity)
        self.watchdog.on_block = self._publisher.publish
        self.booted = True
        fork.watch(self)
        self._init_memory_limit()
        self._reopen_logs_if_asked()
        CURRENT_WORKER.server, CURRENT_WORKER.scheduler = self.server, self.scheduler
        # Those that the application has opened while it was loaded. Requests have connections of their own.
        close_connections(self.server.log)
        self.scheduler.start()
        self.server.start()
        self.watchdog.start()
        self._enter(Phase.READY)
        while self.alive:
            self.beat(LOG_RETRY if self._log_pending else inf)
            self._write_pending_log()
            self._check_server()
            self.server.trim()
            if self._max_rss and resident_bytes() > self._max_rss:
                self._request_successor("max_rss", "more than %s bytes", self._max_rss)
        self._enter(Phase.DRAINING)
        drain.drain(self)
        self._publisher.publish(None)
        self.watchdog.stop()
        if hasattr(gc, "freeze"):
            # Without this, Python's final garbage collection would examine all objects of the application.
            gc.freeze()

    def _enter(self, phase: Phase) -> None:
        """Publish *phase* and wake the master, which may wait for it."""
        self.state.phase = phase
        if phase == Phase.READY and not self.serves_error_page:
            SERVER_STATE.record_ready()
        try:
            os.kill(self.ppid, signal.SIGCHLD)
        except (PermissionError, ProcessLookupError):
            # The master runs as root and this process does not, or the master has died. The master also checks the
            # phase each second.
            pass

    def _init_memory_limit(self) -> None:
        limit = self.settings.max_rss
        if limit and resident_bytes() > limit:
            self.server.log.warning("max_rss is %s bytes, but the worker has %s before its first request: the limit is "
                                    "ignored, because it would recycle every worker at once. Raise it.",
                                    limit, resident_bytes())
        elif limit:
            self._max_rss = limit + randint(0, self.settings.max_rss_jitter)

    @property
    def is_replaced(self) -> bool:
        """Whether other workers accept connections instead of this one."""
        return self.state.order == Order.REPLACED

    def beat(self, seconds: float) -> None:
        """Send a heartbeat, then wait for a signal or a wake-up for at most *seconds*, or until the next heartbeat."""
        if self._healthy:
            self.notify()
        self.watchdog.beat()
        self._publisher.beat()
        # Functions that another native thread has added.
        self.server.runs.schedule()
        seconds = min(seconds, self.watchdog.interval)
        if self.timeout:
            # Gunicorn passes half of the configured timeout, so this leaves a margin.
            seconds = min(seconds, self.timeout / 2)
        began = monotonic()
        woken = self.hub.wait_readable(self.PIPE[0], seconds)
        if not woken:
            self._publisher.record_lag(monotonic() - began - seconds)
        while self.forking_greenlet is not None:
            # The application has forked this process. It exits when the greenlet that has forked it ends.
            if self.forking_greenlet.dead:
                fork.exit_forked_child(self, None)
            self.hub.wait_readable(self.PIPE[0], 1.0)
        if woken:
            posix.read(self.PIPE[0], 4096)
        self._reopen_logs_if_asked()
        self._asyncio_probe.install()
        # Some drivers are imported by the first request that uses them.
        self.log_warnings(self.server.log, self.check_new_libraries())
        self.exit_if_asked()

    def _write_pending_log(self) -> None:
        self._log_pending = self.log_streams.flush()
        dropped = self.log_streams.dropped()
        if dropped:
            self.server.log.warning("Log lines were dropped: %s, because nothing reads the log, or not fast enough. "
                                    "Check its reader.", dropped)

    def _check_server(self) -> None:
        if self._healthy and not self._self_check.run():
            self._healthy = False
            self.server.log.error("The worker (pid:%s) cannot repair itself and stops its heartbeat, so that the "
                                  "arbiter replaces it after the timeout.", self.pid)

    def _reopen_logs_if_asked(self) -> None:
        if self._reopen_requested:
            self._reopen_requested = False
            # In the log greenlet, because a hanging log handler holds its lock.
            self.server.log.enqueue_always(self._reopen_logs)

    def _reopen_logs(self) -> None:
        self.log_streams.reopen()
        self.watchdog.reopen_log()

    def exit_if_asked(self) -> None:
        """Exit at once if SIGQUIT or SIGINT has arrived."""
        if self._quit_requested:
            self._publisher.publish(None)
            self.cfg.worker_int(self)
            sys.exit(0)

    def wake(self) -> None:
        """End the wait between two heartbeats. May be called in the hub and in a signal handler."""
        try:
            # os.write may be patched, and the hub must not wait.
            posix.write(self.PIPE[1], b".")
        except BlockingIOError:
            # The pipe is full, so a wake-up is pending.
            pass

    def notify(self) -> None:
        """Send a heartbeat, and stop if the master has died."""
        super().notify()
        if self.ppid != os.getppid():
            if self.alive:
                self.server.log.info("Parent changed, shutting down: %s", self)
            self.alive = False

    def recycle(self) -> None:
        """Ask for a successor, because ``max_requests`` requests have been served."""
        if self.state.phase == Phase.READY:
            self._request_successor("max_requests", "%s served", self.nr)

    def _request_successor(self, setting: str, reason: str, *args: object) -> None:
        """Serve until a successor is ready. Without managed reloads, stop now, and the arbiter boots another one."""
        if self.state.phase != Phase.READY:
            return
        self._publisher.recycled = setting
        self.server.log.info(f"Recycling the worker (pid:%s): {setting} is reached ({reason})", self.pid, *args)
        if SERVER_STATE.reloads_managed:
            self._enter(Phase.RETIRING)
        else:
            self.alive = False
            self.wake()

    # Signal handlers run in the current greenlet, which may be the hub and must not block. So they only set an
    # attribute. The wake-up file descriptor wakes the main greenlet, which reads it.

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: graceful shutdown."""
        if self.state.phase == Phase.BOOTING:
            super().handle_exit(sig, frame)
        self.alive = False

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """SIGQUIT and SIGINT: exit at once."""
        if self.state.phase == Phase.BOOTING:
            super().handle_quit(sig, frame)
        self.alive = False
        self._quit_requested = True

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        """SIGUSR1: reopen the log files."""
        self._reopen_requested = True

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """SIGABRT: the arbiter has received no heartbeat for ``timeout`` seconds."""
        self.aborting = True
        if self.booted:
            self.watchdog.report_abort(frame)
        super().handle_abort(sig, frame)


class GeventWorker(GreenWorker):
    """A worker on gevent."""

    hub_name = "gevent"


class EventletWorker(GreenWorker):
    """A worker on eventlet."""

    hub_name = "eventlet"
