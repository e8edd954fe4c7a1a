"""Signals to a worker that boots: it must exit at once, but not while it holds a lock."""
from __future__ import annotations

import signal
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, NoReturn

from gunicorn.workers.base import Worker

from gworkers.shared_state import SERVER_STATE, WorkerState
from gworkers.worker.exit_deadline import exit_within

if TYPE_CHECKING:
    from types import FrameType

#: Modules whose functions acquire locks. An exception in the middle of one may leave a lock locked forever.
LOCKING_MODULES = frozenset((
    "logging", "threading", "queue", "gevent.lock", "gevent.thread", "gevent.threading", "eventlet.semaphore",
    "eventlet.green.thread", "eventlet.green.threading",
    # Coverage acquires a lock at the first call of each function.
    "coverage.collector"))
#: Seconds until a signal that arrived inside a locking module is handled again.
POSTPONE_SECONDS = 0.01
#: Maximum number of postponements.
MAX_POSTPONEMENTS = 50
#: Seconds until SystemExit is raised again, in case the application has caught it.
REPEAT_SECONDS = 0.5


class InterruptibleWorker(Worker):  # type: ignore[misc]
    """A worker that SIGTERM, SIGQUIT and SIGINT end at any point of its boot."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state = WorkerState()
        #: unique among all processes of the server; used again after the worker has ended
        self.slot = self.state.slot.index
        #: unique among the workers of a generation, from 1 on; a successor gets the number of the worker it replaces
        self.number = SERVER_STATE.next_number or self.slot
        #: figures that do not change
        self.identity = {"number": float(self.number), "generation": float(SERVER_STATE.generation),
                         "born": monotonic()}
        #: true once a signal has asked this process to exit before it serves
        self._exiting = False
        self._postponements = 0

    def install_boot_handlers(self) -> None:
        """Replace the signal handlers of the master. Gunicorn does so only after the application is loaded."""
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.signal(signal.SIGQUIT, self.handle_quit)
        signal.signal(signal.SIGINT, self.handle_quit)
        signal.signal(signal.SIGUSR1, self.handle_usr1)
        if self.state.order:
            # The signal arrived before the handlers were installed.
            self._exit_booting(0)

    def init_signals(self) -> None:
        """Install the signal handlers of a booted worker, then obey an order of the master that arrived in between."""
        super().init_signals()
        if self.state.order:
            self._raise_exit()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: exit."""
        self.alive = False
        if not self._postpone(self.handle_exit, frame):
            self._raise_exit()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """SIGQUIT and SIGINT: call the hook ``worker_int`` and exit."""
        self.alive = False
        if not self._postpone(self.handle_quit, frame):
            self.cfg.worker_int(self)
            self._raise_exit()

    def _postpone(self, handler: Callable[[int, FrameType | None], None], frame: FrameType | None) -> bool:
        """Schedule *handler* again if *frame*, which the signal interrupted, may hold a lock. Return whether it may."""
        if self._postponements == MAX_POSTPONEMENTS or not _is_inside_locking_module(frame):
            return False
        self._postponements += 1
        self._call_later(handler, POSTPONE_SECONDS)
        return True

    def _raise_exit(self) -> NoReturn:
        self._exiting = True
        # The application may catch SystemExit.
        self._call_later(self.handle_exit, REPEAT_SECONDS)
        # Python reports a SystemExit that is raised in a finalizer, but does not exit.
        sys.unraisablehook = _ignore_system_exit
        sys.exit(0)

    def _exit_booting(self, status: int) -> NoReturn:
        """Exit with *status*, without further interruptions."""
        for sig in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
            signal.signal(sig, signal.SIG_IGN)
        exit_within(self.cfg.graceful_timeout)
        sys.exit(status)

    @staticmethod
    def _call_later(handler: Callable[[int, FrameType | None], None], seconds: float) -> None:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _ignore_system_exit(unraisable: Any) -> None:
    if not isinstance(unraisable.exc_value, SystemExit):
        sys.__unraisablehook__(unraisable)


def _is_inside_locking_module(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") in LOCKING_MODULES:
            return True
        frame = frame.f_back
    return False
