"""Two masters: ``USR2`` starts the second one, which takes over when the first one has gone."""
from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from gworkers.error_text import describe
from gworkers.shared_state import SERVER_STATE

if TYPE_CHECKING:
    from collections.abc import Callable


class SecondMaster:
    """Starts a second master, and promotes this one if it is the second. A failure does not end the server."""

    def __init__(self, arbiter: Any) -> None:
        self._arbiter = arbiter
        #: Whether the promoted master's pidfile could not be renamed yet.
        self._rename_failed = False

    def start(self, reexec: Callable[[], None]) -> None:
        """Call *reexec*, Gunicorn's own."""
        arbiter = self._arbiter
        pid = os.getpid()
        before = arbiter.LISTENERS
        if not before:
            # With reuse_port each worker has its own socket. Gunicorn's next master cannot read an empty list.
            arbiter.LISTENERS = [SimpleNamespace(fileno=lambda: 0)]
        if SERVER_STATE.started_by_script and hasattr(sys, "orig_argv"):
            # Gunicorn would start a module (python -m) by its path, where its relative imports fail.
            arbiter.START_CTX["args"] = [sys.executable, *sys.orig_argv[1:]]
        try:
            reexec()
        except (Exception, SystemExit) as error:
            arbiter.log.error("The second master could not be started: %s. The first master continues.",
                              describe(error))
            if os.getpid() != pid:
                # A process that could not become the second master must not continue as a copy of the first.
                os._exit(1)
        arbiter.LISTENERS = before

    def promote(self, promote: Callable[[], None]) -> None:
        """Call *promote*, Gunicorn's own. If it cannot rename the pidfile, try that again at each call."""
        arbiter = self._arbiter
        failed_before = self._rename_failed
        try:
            # A reload may have removed the pidfile from the configuration meanwhile.
            if failed_before and arbiter.pidfile is not None:
                arbiter.pidfile.create(arbiter.pid)
            self._rename_failed = False
            promote()
        except (OSError, RuntimeError) as error:
            self._rename_failed = True
            if not failed_before:
                arbiter.log.warning("The pidfile could not be renamed: %s. The new master tries again every second.",
                                    str(error).rstrip("."))
