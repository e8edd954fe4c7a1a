"""The messages of signals: a ring of bytes in the shared file, which all workers read.

A message has a position: the number of bytes that were ever added before it. The position of its end is the ``last`` of
a handler that has received it. A message is kept as long as the owner of a handler has not read on. Handlers that run
in every worker read at once, and are not waited for.
"""
from __future__ import annotations

import posix
import struct
from hashlib import blake2b
from time import monotonic
from typing import Any, Callable

from gworkers.background.shared_file import MESSAGE_LOCK, MESSAGES, SharedFile
from gworkers.errors import SendError

#: Bytes of messages that are kept.
ROOM = 1 << 20
#: The most bytes of a payload, as JSON.
PAYLOAD_SIZE = 64 * 1024
#: Where the position of the end of the last message is.
END = 16
POSITION = struct.Struct("Q")
#: The header of a message: its size with the header, and the key of the signal.
HEADER = struct.Struct("I16s")
#: Bytes of the ring. Messages that are kept stay whole while another one is written, because it has room of its own.
RING_SIZE = ROOM + HEADER.size + PAYLOAD_SIZE
#: Seconds that a sender waits for other senders.
PATIENCE = 1.0


class Message:
    """A message that a reader has found, or the place up to which there was none.

    :param end: the position behind it
    :param payload: its content; None if there was none
    """

    __slots__ = ("end", "payload")

    def __init__(self, end: int, payload: bytes | None = None) -> None:
        self.end = end
        self.payload = payload


class Messages:
    """The messages of one server.

    :param file: the shared file
    :param lock: a lock for the native threads of this process
    """

    def __init__(self, file: SharedFile, lock: Any) -> None:
        self._file = file
        self._lock = lock

    @property
    def end(self) -> int:
        """The position behind the last message."""
        stored = posix.pread(self._file.fd, POSITION.size, END)
        return int(POSITION.unpack(stored)[0]) if len(stored) == POSITION.size else 0

    def add(self, key: bytes, payload: bytes, pause: Callable[[], object]) -> None:
        """Add a message.

        :param pause: waits for a moment, for other senders
        :raises SendError: if there is no room, or other senders take too long
        """
        until = monotonic() + PATIENCE
        while not self._try_add(key, payload):
            if monotonic() > until:
                raise SendError(f"the signal was not sent, because other processes have locked the messages for "
                                f"{PATIENCE:g} s. Send it again")
            pause()

    def _try_add(self, key: bytes, payload: bytes) -> bool:
        # The lock of the file is one of processes.
        if not self._lock.acquire(False):
            return False
        try:
            if not self._file.try_lock(MESSAGE_LOCK):
                return False
            try:
                self._add(HEADER.pack(HEADER.size + len(payload), key) + payload)
            finally:
                self._file.unlock(MESSAGE_LOCK)
        finally:
            self._lock.release()
        return True

    def _add(self, message: bytes) -> None:
        end = self.end
        if end + len(message) - ROOM > min(self._file.unread(), default=end):
            raise SendError(f"the signal was not sent, because the {ROOM >> 10} KiB for messages are full: a "
                            f"handler is slower than the senders. Send less, or let the handler pass its work on")
        start = end % RING_SIZE
        first = message[:RING_SIZE - start]
        written = posix.pwrite(self._file.fd, first, MESSAGES + start)
        if written == len(first) < len(message):
            written += posix.pwrite(self._file.fd, message[len(first):], MESSAGES)
        if written < len(message):
            raise SendError("the signal was not sent, because the file system or the limit of the size of files leaves "
                            "no room for it. Free space for temporary files, or raise the limit")
        # At last, so that a message is complete, even if this process is killed here.
        posix.pwrite(self._file.fd, POSITION.pack(end + len(message)), END)

    def read(self, position: int, key: bytes, count: int) -> Message:
        """Return the first message with *key* from *position* on.

        :param count: the most messages to examine
        :raises LookupError: if messages from *position* on have been overwritten
        """
        for _ in range(count):
            if position >= self.end:
                break
            size, found = HEADER.unpack(self._bytes(position, HEADER.size))
            payload = self._bytes(position + HEADER.size, size - HEADER.size) if found == key else None
            if self.end - position > ROOM:
                raise LookupError(position)
            position += size
            if payload is not None:
                return Message(position, payload)
        return Message(position)

    def _bytes(self, position: int, size: int) -> bytes:
        start = position % RING_SIZE
        first = posix.pread(self._file.fd, min(size, RING_SIZE - start), MESSAGES + start)
        return first + posix.pread(self._file.fd, size - len(first), MESSAGES) if len(first) < size else first


def key_of(name: str) -> bytes:
    """Return the key of the signal *name*."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
