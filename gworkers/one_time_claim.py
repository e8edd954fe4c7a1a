"""A task that exactly one of several processes does."""
from __future__ import annotations

import os
import posix


class OneTimeClaim:
    """A task that belongs to the first process that claims it. Create it before the processes are forked.

    It is a byte in a pipe: of several processes that read at the same time, only one receives it.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self.renew()

    def claim(self) -> bool:
        """Return whether the task belongs to this process."""
        try:
            # os.read may be patched, and this is called before there is a hub.
            return bool(posix.read(self._reader, 1))
        except BlockingIOError:
            return False

    def renew(self) -> None:
        """Make the task available once more."""
        self.claim()
        posix.write(self._writer, b".")
