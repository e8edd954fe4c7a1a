"""What the workers of a server share with its master about changed code, for the setting ``reload``."""
from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from mmap import mmap
from time import time

#: Whether a worker has asked for the next reload; the time at which the last one began; the length of the text.
HEADER = struct.Struct("<?dH")
#: Bytes for the names of files.
SPACE = 8192


class CodeChanges:
    """Which changes have been reported, and the files with the last error. Create it before the workers are forked."""

    def __init__(self) -> None:
        self._memory = mmap(-1, HEADER.size + SPACE)

    def begin_reload(self) -> None:
        """Record in the master that a reload begins, which loads all code anew."""
        self._write(asked=False, began=time())

    def claim(self, changed: float, looked: float) -> bool:
        """Return whether this worker is to ask for a reload because of a file. All workers notice a change.

        :param changed: the time at which the file was changed
        :param looked: the time at which it was still unchanged
        """
        asked, began, _ = HEADER.unpack_from(self._memory)
        # The second comparison allows for a file system with another clock.
        if asked or (changed < began and looked < began):
            return False
        self._write(asked=True, began=began)
        return True

    def is_newer(self, changed: float) -> bool:
        """Return whether a file that was changed at the time *changed* is newer than the code of the last reload."""
        began: float
        _, began, _ = HEADER.unpack_from(self._memory)
        return 0 < began < changed

    def _write(self, *, asked: bool, began: float) -> None:
        _, _, length = HEADER.unpack_from(self._memory)
        HEADER.pack_into(self._memory, 0, asked, began, length)

    @property
    def blamed(self) -> list[str]:
        """The files that :meth:`blame` was called with last."""
        _, _, length = HEADER.unpack_from(self._memory)
        text = self._memory[HEADER.size:HEADER.size + length]
        return [os.fsdecode(name) for name in text.split(b"\0") if name]

    def blame(self, files: Iterable[str]) -> None:
        """Let all workers watch *files*, the most important first, because a worker could not boot with them."""
        text = b""
        for name in map(os.fsencode, files):
            if len(text) + len(name) < SPACE:
                text += name + b"\0"
        asked, began, _ = HEADER.unpack_from(self._memory)
        self._memory[HEADER.size:HEADER.size + len(text)] = text
        HEADER.pack_into(self._memory, 0, asked, began, len(text))


#: The state of this server. The master creates it when it imports this module; workers inherit it.
CODE_CHANGES = CodeChanges()
