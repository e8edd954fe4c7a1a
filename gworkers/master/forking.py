"""Forking workers: no error of a worker's process reaches the arbiter's loop."""
from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gworkers.error_text import print_traceback


@contextmanager
def worker_exits(master_pid: int) -> Iterator[None]:
    """The context in which Gunicorn forks a worker. The worker's process leaves it by SystemExit only.

    Gunicorn logs when a worker ends. An exception of a log handler would reach the arbiter's loop there, in a
    process that is not the arbiter, and would stop the other workers.
    """
    try:
        yield
    except SystemExit:
        raise
    except BaseException as error:
        if os.getpid() == master_pid:
            raise
        print_traceback(error)
        # If the exception was raised while the worker exited, the status of that exit counts.
        replaced = error.__context__
        sys.exit(replaced.code if isinstance(replaced, SystemExit) else 1)
