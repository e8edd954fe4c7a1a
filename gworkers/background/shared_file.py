"""The file that the master and all workers share: which worker owns which handler, and the messages of signals.

The master creates it before its first worker. Workers and a second master inherit its descriptor. Its owner holds a
lock on the entry of a handler. The kernel releases it when the process ends, however it ends, and a forked process does
not inherit it. A process loses all its locks when it closes any descriptor of the file, so none is ever closed.

::

    byte 0        locked while an entry is added
    byte 1        locked while a message is added
    byte 16       the position of the end of the last message
    byte 4096     the entries
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
from typing import Callable, NamedTuple

from gworkers.background.doorbell import Doorbell
from gworkers.shared_memory import unnamed_file

#: The variable that tells a second master the file descriptors.
VARIABLE = "GWORKERS_BACKGROUND_FILE"
#: The bytes that are locked while an entry or a message is added.
ENTRY_LOCK, MESSAGE_LOCK = 0, 1
#: Where the entries begin, and the most entries.
ENTRIES = 4096
COUNT = 1024
NO_KEY = bytes(16)
#: An entry: the key, ``last``, when a worker has last used it, and whether ``last`` is a position in the messages.
ENTRY = struct.Struct("16sdd?31x")
#: Where the two numbers are in an entry.
LAST, USED = 16, 24
NUMBER = struct.Struct("d")
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

    def entry(self, key: bytes, first: Callable[[], float], *, reads_messages: bool) -> Entry | None:
        """Return the entry with *key*. A new one is added.

        :param first: returns ``last`` of a new one
        :param reads_messages: whether ``last`` is the position up to which messages have been read
        :returns: None if another process is adding an entry, so that the caller tries again later
        :raises OSError: if there is no room
        """
        if not self.try_lock(ENTRY_LOCK):
            return None
        try:
            rows = list(self._rows())
            start = next((row.start for row in rows if row.key == key), None)
            if start is None:
                start = _free(rows)
                posix.pwrite(self.fd, ENTRY.pack(key, first(), monotonic(), reads_messages), start)
        finally:
            self.unlock(ENTRY_LOCK)
        return Entry(self, start)

    def unread(self) -> Iterator[float]:
        """Yield the positions up to which messages have been read, of the handlers that workers have."""
        oldest = monotonic() - LIFETIME
        return (row.last for row in self._rows() if row.reads_messages and row.used > oldest)

    def _rows(self) -> Iterator[Row]:
        """Yield all entries."""
        table = posix.pread(self.fd, COUNT * ENTRY.size, ENTRIES)
        for number in range(len(table) // ENTRY.size):
            row = ENTRY.unpack_from(table, number * ENTRY.size)
            if row[0] == NO_KEY:
                return
            yield Row(ENTRIES + number * ENTRY.size, *row)


class Row(NamedTuple):
    """The content of an entry."""

    start: int
    key: bytes
    last: float
    used: float
    reads_messages: bool


def _free(rows: list[Row]) -> int:
    """Return the start of an entry that is not used.

    :raises OSError: if there is none
    """
    if len(rows) < COUNT:
        return ENTRIES + len(rows) * ENTRY.size
    oldest = min(rows, key=lambda row: row.used)
    if monotonic() - oldest.used < LIFETIME:
        raise OSError(f"there are more than {COUNT} background handlers")
    return oldest.start


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

    def touch(self) -> None:
        """Record that a worker has the handler."""
        posix.pwrite(self._file.fd, NUMBER.pack(monotonic()), self._start + USED)

    @property
    def last(self) -> float:
        """Which run was started last. Only the owner changes it."""
        last: float = NUMBER.unpack(posix.pread(self._file.fd, NUMBER.size, self._start + LAST))[0]
        return last

    @last.setter
    def last(self, last: float) -> None:
        posix.pwrite(self._file.fd, NUMBER.pack(last), self._start + LAST)


#: The file of this server. The master creates it with its first worker; workers inherit it.
SHARED_FILE = SharedFile()
