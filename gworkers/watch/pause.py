"""Pauses in the work of a native thread, so that the hub's thread can run in between."""
from __future__ import annotations

from time import monotonic
from typing import Any

#: Seconds of work between two pauses. The interpreter would let the hub's thread wait five times as long.
WORK = 0.001
#: Milliseconds of a pause.
REST = 2


class Pause:
    """Call it often. It returns at once until :data:`WORK` seconds have passed, then it sleeps.

    :param poll: :meth:`gworkers.hubs.base.Hub.native_poll`, with no file descriptor
    """

    def __init__(self, poll: Any) -> None:
        self._poll = poll
        self._began = monotonic()

    def __call__(self) -> None:
        if monotonic() - self._began > WORK:
            self._poll.poll(REST)
            self._began = monotonic()
