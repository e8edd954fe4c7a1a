"""The file that the master and all workers share: which worker owns which handler, and the messages of signals.

The master creates it before its first worker. Workers and a second master inherit its descriptor. Its owner holds a
lock on the entry of a handler. The kernel releases it when the process ends, however it ends, and a forked process does
not inherit it. A process loses all its locks when it closes any descriptor of the file, so none is ever closed.

::

    byte 0        locked while an entry is added
    byte 1        locked while a message is added
    byte 4096     the entries: key, ``last``, and when a worker has last used it
    byte 69632    the messages
"""
from __future__ import annotations

import fcntl
import os
import posix
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from gworkers.background.doorbell import Doorbell
from gworkers.shared_memory import unnamed_file

#: The variable that tells a second master the file descriptors.
VARIABLE = "GWORKERS_BACKGROUND_FILE"
#: The bytes that are locked while an entry or a message is added.
ENTRY_LOCK, MESSAGE_LOCK = 0, 1
#: Where the entries begin, and the most entries.
ENTRIES = 4096
COUNT = 1024
ENTRY = struct.Struct("16sdd32x")
#: The key, and the numbers behind it.
NUMBERS = struct.Struct("dd")
#: Where the messages begin.
MESSAGES = ENTRIES + COUNT * ENTRY.size
#: Seconds after which an entry that no worker uses may be replaced, and holds back no messages.
LIFETIME = 300.0


class SharedFile:
    """The file of one server."""

    def __init__(self) -> None:
        self.fd = -1
        self.doorbell: Doorbell

    def open(self) -> None:
        """Create the file, or take over that of the first master. A second call does nothing.

        :raises OSError: if it cannot be created
        """
        if self.fd >= 0:
            return
        inherited = os.environ.pop(VARIABLE, None)
        try:
            fd, *pipe = map(int, (inherited or "").split(","))
            reader, writer = pipe
            for each in (fd, reader, writer):
                os.set_inheritable(each, False)
            self.doorbell, self.fd = Doorbell(reader, writer), fd
        except (ValueError, OSError):
            # There is no first master, or a process outside has set the variable.
            self.doorbell, self.fd = Doorbell(*os.pipe()), unnamed_file()

    @contextmanager
    def left_to_second_master(self, environ: dict[str, str]) -> Iterator[None]:
        """The context in which a second master starts, whose environment is *environ*. It inherits the file."""
        fds = (self.fd, *self.doorbell.pipe)
        for fd in fds:
            os.set_inheritable(fd, True)
        environ[VARIABLE] = ",".join(map(str, fds))
        try:
            yield
        finally:
            environ.pop(VARIABLE, None)
            for fd in fds:
                os.set_inheritable(fd, False)

    def try_lock(self, start: int) -> bool:
        """Lock the byte at *start* for this process, unless another process has locked it."""
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, start)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def unlock(self, start: int) -> None:
        """Release the lock of this process on the byte at *start*."""
        fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, start)

    def entry(self, key: bytes, first: float) -> Entry | None:
        """Return the entry with *key*. A new one is added with ``last`` = *first*.

        :returns: None if another process is adding an entry, so that the caller tries again later
        :raises OSError: if there is no room
        """
        if not self.try_lock(ENTRY_LOCK):
            return None
        try:
            start = self._find(key)
            if start is None:
                start = self._free()
                posix.pwrite(self.fd, ENTRY.pack(key, first, monotonic()), start)
        finally:
            self.unlock(ENTRY_LOCK)
        return Entry(self, start)

    def _rows(self) -> Iterator[tuple[int, bytes, float, float]]:
        """Yield the start, the key, ``last`` and the time of last use of all entries."""
        table = posix.pread(self.fd, COUNT * ENTRY.size, ENTRIES)
        for number, row in enumerate(ENTRY.iter_unpack(table[:len(table) - len(table) % ENTRY.size])):
            yield (ENTRIES + number * ENTRY.size, *row)

    def _find(self, key: bytes) -> int | None:
        return next((start for start, each, _, _ in self._rows() if each == key), None)

    def _free(self) -> int:
        rows = list(self._rows())
        if len(rows) < COUNT:
            return ENTRIES + len(rows) * ENTRY.size
        start, _, _, used = min(rows, key=lambda row: row[3])
        if monotonic() - used < LIFETIME:
            raise OSError(f"there are more than {COUNT} background handlers")
        return start


class Entry:
    """The entry of one handler.

    :param file: the file
    :param start: where it begins
    """

    def __init__(self, file: SharedFile, start: int) -> None:
        self._file = file
        self._start = start

    def acquire(self) -> bool:
        """Become the owner, unless another process is. The owner stays it."""
        return self._file.try_lock(self._start)

    def release(self) -> None:
        """Let another process become the owner."""
        self._file.unlock(self._start)

    @property
    def last(self) -> float:
        """Which run was started last. Only the owner changes it."""
        last: float = NUMBERS.unpack(posix.pread(self._file.fd, NUMBERS.size, self._start + 16))[0]
        return last

    @last.setter
    def last(self, last: float) -> None:
        posix.pwrite(self._file.fd, NUMBERS.pack(last, monotonic()), self._start + 16)


#: The file of this server. The master creates it with its first worker; workers inherit it.
SHARED_FILE = SharedFile()
