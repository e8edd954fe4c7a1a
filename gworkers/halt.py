"""The arbiter's side of an end: one reason and one exit status, however many workers could not start."""
from __future__ import annotations

from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer


class Halting(Arbiter):  # type: ignore[misc]
    """An arbiter that halts for the first worker that could not start, whatever becomes of the others.

    Gunicorn's would start to halt all over again for each of them, and end in a traceback with another exit status.
    """

    _reason: HaltServer | None = None

    def reap_workers(self) -> None:
        """Collect the workers that have ended."""
        try:
            super().reap_workers()
        except HaltServer as reason:
            # Gunicorn 23 is in a signal handler here: what that raises may end up anywhere, or nowhere.
            self._reason = self._reason or reason

    def murder_workers(self) -> None:
        """Kill the workers that do not beat. The arbiter's loop comes by here after each signal."""
        if self._reason is not None:
            raise self._reason
        super().murder_workers()

    def halt(self, *args: Any, **kwargs: Any) -> None:
        """Stop the workers and end the process."""
        # No worker ends with that.
        self.WORKER_BOOT_ERROR = self.APP_LOAD_ERROR = -1
        # Of some that ended together Gunicorn 23 hears once, and would wait for the rest until graceful_timeout.
        self.reap_workers()
        super().halt(*args, **kwargs)
