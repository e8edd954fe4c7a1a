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
    from gworkers.worker import GreenWorker

#: What the worker handles, and what a process does by itself.
HANDLERS: dict[int, Any] = {
    **dict.fromkeys((signal.SIGTERM, signal.SIGQUIT, signal.SIGABRT, signal.SIGUSR1), signal.SIG_DFL),
    signal.SIGINT: signal.default_int_handler}


def watch(worker: GreenWorker) -> None:
    """From now on a process that is forked from this one is no worker."""
    os.register_at_fork(after_in_child=lambda: _disown(worker))


def _disown(worker: GreenWorker) -> None:
    worker.forked = True
    worker.forker = worker.hub.current()
    signal.set_wakeup_fd(-1)
    for number, handler in HANDLERS.items():
        signal.signal(number, handler)
    worker.server.disown()


def end_request(worker: GreenWorker, error: BaseException | None) -> NoReturn:
    """End a forked process with the request that has forked it; others have their end where they have begun."""
    while worker.hub.current() is not worker.forker:
        # gevent lets go on whatever waited when the process was forked.
        worker.hub.park()
    leave(error)


def leave(error: BaseException | None) -> NoReturn:
    """End a forked process in which a request has come to its end, by *error* if there is one."""
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
