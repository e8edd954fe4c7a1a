"""What one of all worker processes does for the others too."""
from __future__ import annotations

import os
import posix


class OneTimeClaim:
    """Something to be done by whichever process claims it first; made before those are forked.

    A byte in a pipe, because among processes that read at the same time only one gets it.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self.renew()

    def claim(self) -> bool:
        """Return whether it is this process that has to do it."""
        try:
            # os.read may be patched, and this is called before there is a hub.
            return bool(posix.read(self._reader, 1))
        except BlockingIOError:
            return False

    def renew(self) -> None:
        """Let it be done once more."""
        self.claim()
        posix.write(self._writer, b".")
