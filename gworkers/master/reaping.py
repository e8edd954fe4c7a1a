"""Reaping workers, and what the exit status of a worker means for the server."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gunicorn.errors import HaltServer

from gworkers.shared_state import SERVER_STATE

if TYPE_CHECKING:
    from collections.abc import Callable


class Reaper:
    """Reaps workers, and keeps the first reason to halt the server.

    Gunicorn halts at each worker that exits because it could not boot. While it halts for the first one, the next
    one would make it halt again, and the server would end with a traceback and a wrong exit status.

    :param arbiter: the master
    :param reap: Gunicorn's own ``reap_workers``
    """

    def __init__(self, arbiter: Any, reap: Callable[[], None]) -> None:
        self._arbiter = arbiter
        self._reap = reap
        self._reason: HaltServer | None = None

    def reap(self) -> None:
        """Reap the workers that have ended."""
        if SERVER_STATE.was_ready:
            self.ignore_boot_failures()
        try:
            self._reap()
        except HaltServer as reason:
            self._reason = self._reason or reason

    def ignore_boot_failures(self) -> None:
        """From now on no worker's exit status halts the server."""
        # No process exits with -1.
        self._arbiter.WORKER_BOOT_ERROR = self._arbiter.APP_LOAD_ERROR = -1

    def raise_reason(self) -> None:
        """Halt the server, if there is a reason.

        :raises HaltServer: if a worker could not boot
        """
        if self._reason is not None:
            raise self._reason
