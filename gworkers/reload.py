"""The arbiter's side of a reload: nothing that runs is given up for what cannot work."""
from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from gworkers.checks.causes import told

#: Seconds that a rehearsal may take, at most.
PATIENCE = 30.0


def attend(cfg: Any, take: Callable[[Any], None]) -> None:
    """Call *take* with the arbiter as soon as it is ready, before the configured ``when_ready``."""
    own = cfg.when_ready

    def when_ready(arbiter: Any) -> None:
        take(arbiter)
        own(arbiter)

    cfg.set("when_ready", when_ready)


def guard(arbiter: Any, reloading: Callable[[], AbstractContextManager[None]]) -> None:
    """From now on refuse a reload that cannot work: the workers that run go on serving.

    :param reloading: the context that a reload takes place in
    """
    reload = arbiter.reload

    def guarded() -> None:
        if not rehearse(arbiter):
            arbiter.log.error("The reload was refused, for it would have failed. The workers that run go on serving.")
            return
        with reloading():
            reload()

    arbiter.reload = guarded


def rehearse(arbiter: Any) -> bool:
    """Load and check the configuration as a reload would, in a process that may fail. It has logged why, if it has."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _perform(arbiter, writer)
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], PATIENCE)
        if not ready:
            arbiter.log.error("The configuration did not load within %s s.", PATIENCE)
            os.kill(pid, signal.SIGKILL)
        # Not its exit status: the arbiter may be quicker to collect that.
        return bool(ready) and os.read(reader, 1) == b"+"
    finally:
        os.close(reader)
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass


def _perform(arbiter: Any, writer: int) -> None:
    verdict = b"-"
    try:
        _leave(arbiter.cfg)
        arbiter.app.reload()
        cfg = arbiter.app.cfg
        worker_class = cfg.worker_class
        os.environ.update(cfg.env)
        if cfg.preload_app:
            arbiter.app.wsgi()
        if hasattr(worker_class, "check_config"):
            worker_class.check_config(cfg, arbiter.log)
        if hasattr(worker_class, "rehearse"):
            worker_class.rehearse(arbiter)
        verdict = b"+"
    except SystemExit as error:
        # Most often it is Gunicorn's, which has said why.
        arbiter.log.error("Loading it has ended the process: %s", told(error))
    except Exception as error:
        arbiter.log.error("%s", error, exc_info=error.__cause__ if isinstance(error, RuntimeError) else error)
    finally:
        # Come what may: this process must never go on as if it were the arbiter.
        try:
            os.write(writer, verdict)
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        finally:
            os._exit(0)


def _leave(cfg: Any) -> None:
    """Take what *cfg* has put into the environment out again, as a reload does."""
    for name in cfg.env:
        if name in cfg.env_orig:
            os.environ[name] = cfg.env_orig[name]
        else:
            os.environ.pop(name, None)
