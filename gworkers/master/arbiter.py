"""An arbiter that is not ended by what need not end it."""
from __future__ import annotations

import os
import signal
import time
from queue import Empty
from typing import TYPE_CHECKING, Any

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from gworkers.error_text import describe
from gworkers.master.pidfile import Pidfile
from gworkers.shared_state import BOARD

if TYPE_CHECKING:
    from types import FrameType

#: Signals that stop the server, and so are not to wait for others.
STOPPING = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))

#: Whether the arbiter has a list of at most five signals, and collects the dead in a signal handler.
GUNICORN_23 = not hasattr(Arbiter, "wait_for_signals")

#: Seconds between two looks at who has ended, once all are to.
POLL = 0.01

#: Seconds that Gunicorn's control server may take to start before nobody waits for it any more.
CONTROL_PATIENCE = 1.0


class Forked(Exception):
    """Raised in the midst of Gunicorn's reload: new workers are there, and nobody is to wait for the old ones' end."""


class NotReloadedError(Exception):
    """The configuration could not be loaded, because of *error*, and is what it was."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class ResilientArbiter(Arbiter):  # type: ignore[misc]
    """Gunicorn's, with a second thought where its own is an exception that ends the server, or another reason to."""

    LISTENERS: list[Any]
    WORKERS: dict[int, Any]
    SIG_QUEUE: Any
    pid: int
    _control_server: Any
    pidfile: Any
    #: Gunicorn's control server, if it is one that does not hear while it starts
    _deaf_control: Any = None
    #: why the server ends, once that is certain
    _reason: HaltServer | None = None
    #: whether the next signal to all workers is the one that ends them, and the server
    _ends = False
    #: whether the pidfile has not got its name yet
    _nameless = False
    #: whether the pidfile is left alone, and what the configuration says of it meanwhile
    _keeps_pidfile = False
    _pidfile_wanted: str | None = None

    # Workers that cannot boot: it halts for the first one, whatever becomes of the others, for which Gunicorn's would
    # start to halt all over again, and end in a traceback with another exit status, or wait for those that have ended.

    def reap_workers(self) -> None:
        """Collect the workers that have ended."""
        # Gunicorn 23 is in a signal handler here. What is logged there may be in the midst of another line, and what is
        # raised may end up anywhere; so it is left to the loop, which comes by at once.
        if not GUNICORN_23:
            self._reap()

    def _reap(self) -> None:
        if BOARD.proven:
            # No worker ends with that.
            self.WORKER_BOOT_ERROR = self.APP_LOAD_ERROR = -1
        try:
            super().reap_workers()
        except HaltServer as reason:
            self._reason = self._reason or reason

    def murder_workers(self) -> None:
        """Kill the workers that do not beat. The arbiter's loop comes by here after each signal."""
        self._reap()
        if self._reason is not None:
            raise self._reason
        super().murder_workers()

    # The end of the server

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers, however they end, and whatever somebody has done to the files of the sockets."""
        self.WORKER_BOOT_ERROR = self.APP_LOAD_ERROR = -1
        self._reap()
        for listener in list(self.LISTENERS):
            # A process that was forked, and comes by because it has failed, may have closed it.
            if listener.sock is not None and is_lost(listener.getsockname()):
                self.LISTENERS.remove(listener)
                listener.close()
        self._ends = True
        super().stop(graceful)
        # Those that had to be killed.
        self._reap()

    def kill_workers(self, sig: int) -> None:
        """Send a signal to all workers; if it is to end the server, wait until they have ended."""
        super().kill_workers(sig)
        if self._ends:
            self._ends = False
            # Gunicorn 23 would rely on the signal handler, and others look every 0.1 s. Their limit has begun as well.
            limit = time.monotonic() + self.cfg.graceful_timeout
            while self.WORKERS and time.monotonic() < limit and not self._is_hurried():
                time.sleep(POLL)
                self._reap()

    def _is_hurried(self) -> bool:
        if GUNICORN_23:
            return False
        try:
            sig = self.SIG_QUEUE.get_nowait()
        except Empty:
            return False
        hurried = sig in (signal.SIGINT, signal.SIGQUIT)
        if hurried:
            # Gunicorn does what there is to do.
            self.SIG_QUEUE.put_nowait(sig)
        return hurried

    # Signals

    def wait_for_signals(self, *args: Any, **kwargs: Any) -> list[int]:
        """Return the signals that have come, as far as they are due. Gunicorn 23 does not ask."""
        return due(super().wait_for_signals(*args, **kwargs))

    def listen_to_signals(self) -> None:
        """Let all of them be heard: Gunicorn 23 drops those that come while five wait, for a reload perhaps."""
        if GUNICORN_23:
            for sig in self.SIGNALS:
                signal.signal(sig, self._hear)

    def _hear(self, sig: int, frame: FrameType | None) -> None:
        # Nothing more, for another one may come in the midst of it.
        self.SIG_QUEUE.append(sig)
        self.wakeup()

    def _sort_signals(self) -> None:
        # Those that come meanwhile are behind them.
        count = len(self.SIG_QUEUE)
        self.SIG_QUEUE[:count] = due(self.SIG_QUEUE[:count])

    # Gunicorn 25.3's control server is a thread that is stopped before each fork, and before the end. One that has just
    # been started does not hear that: Gunicorn waits for it in vain, then leaves it behind with its descriptors.

    def _start_control_server(self) -> None:
        super()._start_control_server()
        if hasattr(self._control_server, "_server") and not hasattr(self._control_server, "_ready"):
            self._deaf_control = self._control_server
            os.register_at_fork(before=self._await_control_server)

    def _stop_control_server(self) -> None:
        self._await_control_server()
        super()._stop_control_server()

    def _await_control_server(self) -> None:
        server, until = self._deaf_control, time.monotonic() + CONTROL_PATIENCE
        while (server is not None and server._running and server._server is None and server._thread.is_alive()
               and time.monotonic() < until):
            # A patched master's, if it is: the thread may be a greenlet.
            time.sleep(0.001)

    # Another master

    def reexec(self) -> None:
        """Start another master beside this one."""
        pid = os.getpid()
        try:
            super().reexec()
        except (Exception, SystemExit) as error:
            self.log.error("Another master could not be started: %s", describe(error))
            if os.getpid() != pid:
                # It is to be the other one, or nothing.
                os._exit(1)

    def maybe_promote_master(self) -> None:
        """Take the place of a master that has gone, and its pidfile's name as soon as that is free."""
        if GUNICORN_23:
            # Its loop comes by before it takes the next signal.
            self._sort_signals()
        told_already = self._nameless
        try:
            # A reload may have done without it meanwhile.
            if self._nameless and self.pidfile is not None:
                self.pidfile.create(self.pid)
            self._nameless = False
            super().maybe_promote_master()
        except (OSError, RuntimeError) as error:
            self._nameless = True
            if not told_already:
                self.log.warning("The pidfile is not there yet, and is tried again: %s", error)

    # The configuration in a reload: what has been rehearsed may have changed meanwhile. And the pidfile, which a reload
    # takes away and makes anew, even where that cannot be.

    def guard_pidfile(self) -> None:
        """Keep a FIFO that has taken the pidfile's place from blocking the master."""
        if self.pidfile is not None:
            self.pidfile = Pidfile.taken_over(self.pidfile)

    def setup(self, app: Any) -> None:
        """Take over what the configuration says."""
        super().setup(app)
        if self._keeps_pidfile:
            self._pidfile_wanted = self.cfg.pidfile
            self.cfg.set("pidfile", None)

    def reload(self) -> None:
        """Load the configuration and start workers.

        :raises NotReloadedError: if the configuration cannot be loaded
        """
        before, pidfile, self.pidfile = self.cfg, self.pidfile, None
        self._pidfile_wanted = before.pidfile
        self._keeps_pidfile = True
        try:
            super().reload()
        except Forked:
            pass
        except (Exception, SystemExit) as error:
            if os.getpid() != self.pid:
                raise
            if self.cfg is not before:
                leave_environment(self.cfg)
            self.app.cfg = before
            self.setup(self.app)
            raise NotReloadedError(error) from error
        finally:
            # A worker that was forked in there comes by, too, when it ends.
            if os.getpid() == self.pid:
                self._keeps_pidfile = False
                self.cfg.set("pidfile", self._pidfile_wanted)
                self.pidfile = self._moved(pidfile)

    def _moved(self, pidfile: Any) -> Any:
        name = self._pidfile_wanted
        if name is not None and self.master_pid:
            # As Gunicorn names it while there are two.
            name += ".2"
        if name == (pidfile and pidfile.fname):
            return pidfile
        new = None
        if name is not None:
            new = Pidfile(name)
            try:
                new.create(self.pid)
            except (OSError, RuntimeError) as error:
                self.log.error("The pidfile stays where it was: %s", error)
                return pidfile
        if pidfile is not None:
            pidfile.unlink()
        return new


def due(signals: list[int]) -> list[int]:
    """Return those of *signals* that are to be dealt with: what stops the server instead of all others."""
    # The last of many reloads does what they all would.
    for _ in range(signals.count(signal.SIGHUP) - 1):
        signals.remove(signal.SIGHUP)
    return [sig for sig in signals if sig in STOPPING] or signals


def leave_environment(cfg: Any) -> None:
    """Take what *cfg* has put into the environment out again, as a reload does."""
    for name in cfg.env:
        if name in cfg.env_orig:
            os.environ[name] = cfg.env_orig[name]
        else:
            os.environ.pop(name, None)


def is_lost(address: Any) -> bool:
    """Whether *address* is a path, of a socket, where nothing is any more."""
    return isinstance(address, str) and not address.startswith("\0") and not os.path.lexists(address)
