"""Memory that a master, its workers and other processes share: one file, divided into slots of one size.

The master creates the file before its first worker. Workers inherit the mapping. Another process reads the file by
its descriptor, so it needs no mapping of the right size. The kernel allocates a page when it is first written.

::

    byte 0        flags, one byte each
    byte 8        the sequence number: odd while the slot is being written
    byte 16       the length of the document
    byte 64       numbers, as doubles
    byte 4096     the document: text of any kind
"""
from __future__ import annotations

import os
import posix
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from mmap import mmap
from time import sleep

#: Bytes of a slot: a multiple of the page size on all platforms.
SLOT_SIZE = 65536
#: The file grows by this many slots.
GROWTH = 64
#: The most bytes of a document.
DOCUMENT_SIZE = 49152

_SEQUENCE = 8
_LENGTH = 16
_NUMBERS = 64
_DOCUMENT = 4096
#: The most numbers of a slot.
NUMBERS = (_DOCUMENT - _NUMBERS) // 8

#: Attempts to read a slot that is being written. After that it is read as it is: the writer may have been killed.
ATTEMPTS = 20
#: Seconds between two attempts.
PAUSE = 0.001

# Native sizes and alignment: each number is stored at once, so a reader never gets half of one.
_INTEGER = struct.Struct("Q")


class Slot:
    """One slot of a mapped file. One process writes it at a time, except the flags.

    :param index: its position in the file
    :param memory: a mapping of the file
    :param start: where the slot begins in the mapping
    """

    def __init__(self, index: int, memory: mmap, start: int) -> None:
        self.index = index
        self._memory = memory
        self._start = start

    def flag(self, number: int) -> int:
        """Return flag *number*."""
        return self._memory[self._start + number]

    def set_flag(self, number: int, value: int) -> None:
        """Set flag *number* to *value*, 0 to 255."""
        self._memory[self._start + number] = value

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The context of a change that readers see as a whole."""
        start = self._start + _SEQUENCE
        sequence = _INTEGER.unpack_from(self._memory, start)[0] | 1
        _INTEGER.pack_into(self._memory, start, sequence)
        try:
            yield
        finally:
            _INTEGER.pack_into(self._memory, start, sequence + 1)

    def numbers(self, count: int) -> tuple[float, ...]:
        """Return the first *count* numbers."""
        return struct.unpack_from(f"{count}d", self._memory, self._start + _NUMBERS)

    def set_numbers(self, numbers: Sequence[float]) -> None:
        """Store *numbers* from the first one on. Call this in the context :meth:`writing`."""
        struct.pack_into(f"{len(numbers)}d", self._memory, self._start + _NUMBERS, *numbers)

    @property
    def document(self) -> bytes:
        """The document, for the process that writes it."""
        length = _INTEGER.unpack_from(self._memory, self._start + _LENGTH)[0]
        start = self._start + _DOCUMENT
        return self._memory[start:start + min(length, DOCUMENT_SIZE)]

    def set_document(self, document: bytes) -> None:
        """Store *document*, which must fit. Call this in the context :meth:`writing`.

        :raises ValueError: if it is longer than :data:`DOCUMENT_SIZE`
        """
        if len(document) > DOCUMENT_SIZE:
            raise ValueError(f"the document has {len(document)} bytes, the most are {DOCUMENT_SIZE}")
        start = self._start + _DOCUMENT
        self._memory[start:start + len(document)] = document
        _INTEGER.pack_into(self._memory, self._start + _LENGTH, len(document))

    def clear(self) -> None:
        """Reset flags, numbers and document."""
        with self.writing():
            self._memory[self._start:self._start + _SEQUENCE] = bytes(_SEQUENCE)
            self._memory[self._start + _LENGTH:self._start + _DOCUMENT] = bytes(_DOCUMENT - _LENGTH)


class MemoryFile:
    """The file of one master. It is created when the first slot is taken, and exists as long as a process uses it."""

    def __init__(self) -> None:
        self._fd = -1
        self._mappings: list[mmap] = []
        self._taken: set[int] = set()

    @property
    def fd(self) -> int:
        """The file descriptor. It is not inherited by other programs."""
        if self._fd < 0:
            self._fd = unnamed_file()
        return self._fd

    def take(self, lowest: int) -> Slot:
        """Return the free slot with the lowest index from *lowest* on, and clear it. Processes forked later share it.

        :raises OSError: if the file cannot grow
        """
        index = next(index for index in range(lowest, len(self._taken) + lowest + 1) if index not in self._taken)
        while index >= len(self._mappings) * GROWTH:
            self._grow()
        slot = Slot(index, self._mappings[index // GROWTH], index % GROWTH * SLOT_SIZE)
        slot.clear()
        self._taken.add(index)
        return slot

    def free(self, slot: Slot) -> None:
        """Let *slot* be taken again. Its content stays until then."""
        self._taken.discard(slot.index)

    def _grow(self) -> None:
        size, step = len(self._mappings) * GROWTH * SLOT_SIZE, GROWTH * SLOT_SIZE
        try:
            os.ftruncate(self.fd, size + step)
            self._mappings.append(mmap(self.fd, step, offset=size))
        except OSError:
            # For example a limit on the size of files. Workers share this memory too, but no other process can read it.
            self._mappings.append(mmap(-1, step))


def unnamed_file() -> int:
    """Return the file descriptor of a new file without a name. On Linux it is in memory.

    :raises OSError: if there is no memory, or no directory for temporary files
    """
    if hasattr(os, "memfd_create"):
        with suppress(OSError):
            return os.memfd_create("gworkers")
    fd, path = tempfile.mkstemp(prefix="gworkers-")
    os.unlink(path)
    return fd


class SlotCopy:
    """The content of a slot at one moment, as another process reads it.

    :param fd: the file
    :param index: the slot
    """

    def __init__(self, fd: int, index: int) -> None:
        start = index * SLOT_SIZE
        for _ in range(ATTEMPTS):
            head = posix.pread(fd, _DOCUMENT, start)
            self.sequence = _INTEGER.unpack_from(head, _SEQUENCE)[0]
            self._head = head
            length = min(_INTEGER.unpack_from(head, _LENGTH)[0], DOCUMENT_SIZE)
            self.document = posix.pread(fd, length, start + _DOCUMENT) if length else b""
            #: whether nothing was written meanwhile
            self.whole = not self.sequence % 2 and self.sequence == sequence(fd, index)
            if self.whole:
                return
            sleep(PAUSE)

    def flag(self, number: int) -> int:
        """Return flag *number*."""
        return self._head[number]

    def numbers(self, count: int) -> tuple[float, ...]:
        """Return the first *count* numbers."""
        return struct.unpack_from(f"{count}d", self._head, _NUMBERS)


def sequence(fd: int, index: int) -> int:
    """Return the sequence number of slot *index* in the file *fd*."""
    return int(_INTEGER.unpack(posix.pread(fd, 8, index * SLOT_SIZE + _SEQUENCE))[0])


def slot_count(fd: int) -> int:
    """Return the number of slots in the file *fd*, whether they are taken or not."""
    return os.fstat(fd).st_size // SLOT_SIZE
