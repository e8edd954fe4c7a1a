"""The dry run of a reload, because any failure in Gunicorn's reload would stop the server."""
from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, cast

from gworkers.checks.worker_class import non_class_finding
from gworkers.error_text import describe
from gworkers.errors import SettingsError
from gworkers.master.reload import log_refused, restore_environment
from gworkers.master.signals import STOPPING

#: Seconds that a dry run may take.
TIMEOUT = 30.0


def dry_run(arbiter: Any, on_wait: Callable[[], None]) -> list[str] | None:
    """Load and check the configuration as a reload does, in a child process.

    :param on_wait: called about once a second
    :returns: the ``bind`` of the configuration; None if the server is to stop, or if the reload would fail and the
        reason has been logged
    """
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        log_refused(arbiter.log, f"the process for the dry run could not be forked: {error}")
        return None
    if pid == 0:
        os.close(reader)
        _perform(arbiter, writer)
    os.close(writer)
    try:
        return _result(arbiter, pid, reader, on_wait)
    finally:
        os.close(reader)
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            # A library of a preloaded application may reap every child of the process.
            pass


def log_failure(log: Any, error: BaseException) -> None:
    """Log why the configuration could not be loaded."""
    if isinstance(error, SystemExit):
        # Gunicorn prints its reason, and exits.
        log.error("The configuration cannot be loaded: %s. Look for the reason on stderr.", describe(error))
    else:
        log.error("%s", error, exc_info=error.__cause__ if isinstance(error, RuntimeError) else error)


def _result(arbiter: Any, pid: int, reader: int, on_wait: Callable[[], None]) -> list[str] | None:
    until = monotonic() + TIMEOUT
    received = b""
    with _signals() as signals:
        # Read to the end of the line, not to the end of the stream: a process that the application has started may
        # keep the pipe open.
        while not received.endswith(b"\n"):
            left = until - monotonic()
            ready, _, _ = select.select([reader, signals], [], [], max(0.0, min(left, 1.0)))
            on_wait()
            if not ready:
                if left > 1.0:
                    continue
                log_refused(arbiter.log, f"the dry run took more than {TIMEOUT:g} s")
                os.kill(pid, signal.SIGKILL)
                return None
            if reader in ready:
                data = os.read(reader, 65536)
                if not data:
                    log_refused(arbiter.log, "the dry run failed, see the messages above and on stderr")
                    return None
                received += data
            elif STOPPING.intersection(os.read(signals, 64)):
                os.kill(pid, signal.SIGKILL)
                return None
    return cast("list[str]", json.loads(received))


@contextmanager
def _signals() -> Iterator[int]:
    """Yield a file descriptor from which the numbers of arriving signals can be read. Their handlers run as well."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def _perform(arbiter: Any, writer: int) -> None:
    result = b""
    try:
        # If the master dies, nothing else ends this process.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, TIMEOUT)
        # The kernel would queue clients on a listening socket that only this process still has open.
        for listener in arbiter.LISTENERS:
            listener.close()
        restore_environment(arbiter.cfg)
        arbiter.app.reload()
        cfg = arbiter.app.cfg
        worker_class = cfg.worker_class
        if not callable(worker_class):
            raise SettingsError(non_class_finding(cfg.worker_class_str))
        os.environ.update(cfg.env)
        if cfg.preload_app:
            arbiter.app.wsgi()
        if hasattr(worker_class, "check_config"):
            worker_class.check_config(cfg, arbiter.log)
        if hasattr(worker_class, "dry_run"):
            worker_class.dry_run(arbiter)
        result = json.dumps(cfg.bind).encode() + b"\n"
    except (Exception, SystemExit) as error:
        log_failure(arbiter.log, error)
    finally:
        # Whatever happens, this process must never return into the arbiter's loop.
        try:
            # Before the result is written, because the master may end this process after it.
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        finally:
            try:
                os.write(writer, result)
            finally:
                os._exit(0)
