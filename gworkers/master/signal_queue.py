"""Where the arbiter's signals wait until its loop comes by, if its standard library is patched or PyPy's."""
from __future__ import annotations

import os
import posix
import select
from collections import deque
from queue import Empty
from typing import Any


class SignalQueue:
    """Takes the place of Gunicorn's queue, as far as Gunicorn uses that.

    Gunicorn relies on a queue that a signal handler may put something into whatever it has interrupted. One that is
    written in Python is none: the handler may have to wait for what it has interrupted. Where its locks are greenlets'
    that ends in the midst of the hub.
    """

    def __init__(self) -> None:
        self._signals: deque[Any] = deque()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def put_nowait(self, sig: Any) -> None:
        """Add a signal; for handlers."""
        self._signals.append(sig)
        try:
            posix.write(self._writer, b".")
        except BlockingIOError:
            # It is full of them already.
            pass

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the next signal; wait for it at most for *timeout* seconds.

        :raises queue.Empty: if there is none
        """
        if block and not self._signals:
            # It is patched, and lets other greenlets go on.
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
