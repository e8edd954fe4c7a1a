"""What becomes of a worker in a process that its application forks, with ``os.fork`` or :mod:`multiprocessing`.

Such a process has a copy of everything: of the sockets, on which it would serve and whose end it would keep from the
clients; of the heartbeat; of the worker's end. It is to have none of it.
"""
from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from gworkers.serving.worker_process import WorkerProcess

#: What the worker handles, and what a process does by itself.
HANDLERS: dict[int, Any] = {
    **dict.fromkeys((signal.SIGTERM, signal.SIGQUIT, signal.SIGABRT, signal.SIGUSR1), signal.SIG_DFL),
    signal.SIGINT: signal.default_int_handler}


def watch(worker: WorkerProcess) -> None:
    """From now on a process that is forked from this one is no worker."""
    os.register_at_fork(after_in_child=lambda: _disown(worker))


def _disown(worker: WorkerProcess) -> None:
    worker.forking_greenlet = _current()
    signal.set_wakeup_fd(-1)
    for number, handler in HANDLERS.items():
        signal.signal(number, handler)
    worker.server.release_after_fork()


def exit_forked_child(worker: WorkerProcess, error: BaseException | None) -> NoReturn:
    """A greenlet has come to its end in a forked process, by *error* if there is one.

    If it is the one that forked, or if that one has ended, so does the process. The others go on in the parent.
    """
    while worker.forking_greenlet is not _current() and not worker.forking_greenlet.dead:
        worker.hub.park()
    _leave(error)


def _current() -> Any:
    # Not at the top: this module is imported before it is known whether there is a greenlet that works.
    from greenlet import getcurrent

    return getcurrent()


def _leave(error: BaseException | None) -> NoReturn:
    status = 0
    try:
        if isinstance(error, SystemExit):
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            traceback.print_exception(type(error), error, error.__traceback__)
            status = 1
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    finally:
        # Not the worker's way, which would tell hooks and log of the worker's end.
        os._exit(status)
