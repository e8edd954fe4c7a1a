"""The arbiter's side of an end: one reason and one exit status, however many workers could not start."""
from __future__ import annotations

from typing import Any

from gunicorn.errors import HaltServer


def guard(arbiter: Any) -> None:
    """From now on let *arbiter* halt for the first worker that could not start, whatever becomes of the others.

    It would start to halt all over again for each of them, and end in a traceback with another exit status.
    """
    reap_workers, murder_workers, halt = arbiter.reap_workers, arbiter.murder_workers, arbiter.halt
    reasons: list[HaltServer] = []

    def reap() -> None:
        try:
            reap_workers()
        except HaltServer as reason:
            # Gunicorn 23 is in a signal handler here: what that raises may end up anywhere, or nowhere.
            reasons.append(reason)

    def murder() -> None:
        # The arbiter's loop comes by here after each signal.
        if reasons:
            raise reasons[0]
        murder_workers()

    def halt_once(*args: Any, **kwargs: Any) -> None:
        # No worker ends with that.
        arbiter.WORKER_BOOT_ERROR = arbiter.APP_LOAD_ERROR = -1
        # Of some that ended together Gunicorn 23 hears once, and would wait for the rest until graceful_timeout.
        reap_workers()
        halt(*args, **kwargs)

    arbiter.reap_workers, arbiter.murder_workers, arbiter.halt = reap, murder, halt_once
