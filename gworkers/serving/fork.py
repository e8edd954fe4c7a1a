"""A worker in a process that its application forks, with ``os.fork`` or :mod:`multiprocessing`.

Such a process has a copy of the whole worker. It must release the sockets. Otherwise it would serve on them, and
clients would not notice when the worker closes them. It must not send heartbeats, and must not exit as a worker does.
"""
from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from gworkers.serving.worker_process import WorkerProcess

#: The signals that a worker handles, with the default handlers for them.
HANDLERS: dict[int, Any] = {
    **dict.fromkeys((signal.SIGTERM, signal.SIGQUIT, signal.SIGABRT, signal.SIGUSR1), signal.SIG_DFL),
    signal.SIGINT: signal.default_int_handler}


def watch(worker: WorkerProcess) -> None:
    """Make each process that is forked from now on a plain process instead of a worker."""
    os.register_at_fork(after_in_child=lambda: _release(worker))


def _release(worker: WorkerProcess) -> None:
    worker.forking_greenlet = _current()
    signal.set_wakeup_fd(-1)
    worker.watchdog.release_after_fork()
    worker.scheduler.release_after_fork()
    for number, handler in HANDLERS.items():
        signal.signal(number, handler)
    worker.server.release_after_fork()


def exit_forked_child(worker: WorkerProcess, error: BaseException | None) -> NoReturn:
    """End this forked process, because a greenlet of a request or the main greenlet has ended in it.

    Other greenlets than the one that forked wait until that one has ended. Their requests continue in the parent.

    :param error: the exception that has ended the greenlet
    """
    while worker.forking_greenlet is not _current() and not worker.forking_greenlet.dead:
        worker.hub.park()
    _exit(error)


def _current() -> Any:
    # Imported late, because this module is imported before the check that greenlet works.
    from greenlet import getcurrent

    return getcurrent()


def _exit(error: BaseException | None) -> NoReturn:
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
        # Not sys.exit, because then hooks and the log would report the exit of the worker.
        os._exit(status)
