"""A queue of signals for an arbiter on PyPy, or with a patched standard library."""
from __future__ import annotations

import os
import posix
import select
from collections import deque
from queue import Empty
from typing import Any


class SignalQueue:
    """Replaces the ``queue.SimpleQueue`` of Gunicorn's arbiter, with the methods that Gunicorn uses.

    Signal handlers put signals into the queue, whatever they interrupt. A queue that is written in Python does not
    allow that: its lock may be held by the code that the handler interrupts. A greenlet lock would switch to the hub.
    """

    def __init__(self) -> None:
        self._signals: deque[Any] = deque()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def put_nowait(self, sig: Any) -> None:
        """Add a signal. Signal handlers call this."""
        self._signals.append(sig)
        try:
            posix.write(self._writer, b".")
        except BlockingIOError:
            # The pipe is full, so it wakes the reader anyway.
            pass

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the next signal. Wait at most *timeout* seconds for it.

        :raises queue.Empty: if there is none
        """
        if block and not self._signals:
            # If it is patched, other greenlets run meanwhile.
            select.select([self._reader], [], [], timeout)
        try:
            posix.read(self._reader, 4096)
        except BlockingIOError:
            pass
        return self.get_nowait()

    def get_nowait(self) -> Any:
        """Return the next signal.

        :raises queue.Empty: if there is none
        """
        try:
            return self._signals.popleft()
        except IndexError:
            raise Empty from None
