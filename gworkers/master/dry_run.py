"""Trying a reload out before it takes place: whatever goes wrong in Gunicorn's own stops the server."""
from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, cast

from gworkers.checks.worker_class import non_class_finding
from gworkers.error_text import describe
from gworkers.errors import SettingsError
from gworkers.master.arbiter import STOPPING, leave_environment

#: Seconds that a rehearsal may take, at most.
PATIENCE = 30.0

#: What is said of a reload that does not take place.
REFUSED = "The reload was refused, for it would have failed. The workers that run go on serving."


def rehearse(arbiter: Any) -> list[str] | None:
    """Load and check the configuration as a reload would, in a process that may fail.

    :returns: its ``bind``; None if the reload would fail, which has been logged, or if the server is to stop
    """
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        arbiter.log.error("A process to rehearse the reload in could not be forked: %s. %s", error, REFUSED)
        return None
    if pid == 0:
        os.close(reader)
        _perform(arbiter, writer)
    os.close(writer)
    try:
        return _verdict(arbiter, pid, reader)
    finally:
        os.close(reader)
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            # A library of a preloaded application may collect every child that there is.
            pass


def report(log: Any, error: BaseException) -> None:
    """Say why the configuration could not be loaded."""
    if isinstance(error, SystemExit):
        # Most often it is Gunicorn's.
        log.error("The configuration cannot be loaded: %s; what is said above may tell why", describe(error))
    else:
        log.error("%s", error, exc_info=error.__cause__ if isinstance(error, RuntimeError) else error)


def _verdict(arbiter: Any, pid: int, reader: int) -> list[str] | None:
    until = monotonic() + PATIENCE
    said = b""
    with _signals() as signals:
        # Not the end of the stream: what the application has started may hold it open.
        while not said.endswith(b"\n"):
            ready, _, _ = select.select([reader, signals], [], [], max(0.0, until - monotonic()))
            if not ready:
                arbiter.log.error("The configuration did not load within %s s. %s", PATIENCE, REFUSED)
                os.kill(pid, signal.SIGKILL)
                return None
            if reader in ready:
                data = os.read(reader, 65536)
                if not data:
                    arbiter.log.error(REFUSED)
                    return None
                said += data
            elif STOPPING.intersection(os.read(signals, 64)):
                os.kill(pid, signal.SIGKILL)
                return None
    return cast("list[str]", json.loads(said))


@contextmanager
def _signals() -> Iterator[int]:
    """Give a descriptor to read the numbers of the signals from that arrive meanwhile; their handlers run as ever."""
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
    verdict = b""
    try:
        # If the master dies nobody else would end this, and clients would wait at a listener that it has still.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        for listener in arbiter.LISTENERS:
            listener.close()
        leave_environment(arbiter.cfg)
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
        verdict = json.dumps(cfg.bind).encode() + b"\n"
    except (Exception, SystemExit) as error:
        report(arbiter.log, error)
    finally:
        # Come what may: this process must never go on as if it were the arbiter.
        try:
            # Before the verdict, after which it may be ended.
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        finally:
            try:
                os.write(writer, verdict)
            finally:
                os._exit(0)
