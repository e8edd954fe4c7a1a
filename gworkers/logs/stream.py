"""A stream for log lines that never blocks the worker.

A handler that writes to a pipe, a FIFO, a terminal or a socket waits for its reader, and with it
the whole worker, until the arbiter kills it. :class:`LogStream` keeps what the reader does not take
now, up to a limit, and tries again with the next line and between heartbeats. Lines above the limit
are dropped and counted.
"""
from __future__ import annotations

import _socket
import errno
import os
import posix
import socket
import stat
from collections import deque
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from gworkers.hubs.base import Hub

#: Bytes to keep for a reader that does not read.
LIMIT = 1024 * 1024
#: POSIX promises that a pipe takes so many bytes at once when it is writable at all (PIPE_BUF is never smaller).
PIECE = 512

_NOT_NOW = frozenset((errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR))


class LogStream:
    """Writes text to the descriptor of another stream.

    :param stream: what it replaces; attributes that are not here are that one's
    :param hub: says whether a descriptor is writable, where it cannot be opened anew
    """

    def __init__(self, stream: Any, hub: Hub) -> None:
        self._stream = stream
        self._hub = hub
        self._encoding = stream.encoding or "utf-8"
        self._pending: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._socket: Any = None
        self._fd = stream.fileno()
        self._send = self._choose()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _choose(self) -> Callable[[bytes], int]:
        mode = os.fstat(self._fd).st_mode
        if stat.S_ISREG(mode):
            return self._write
        if stat.S_ISSOCK(mode) and hasattr(socket, "MSG_DONTWAIT"):
            self._socket = _socket.socket(fileno=os.dup(self._fd))
            return self._send_to_socket
        try:
            # A description of its own: O_NONBLOCK on the shared one would hit all other processes.
            self._fd = posix.open(f"/proc/self/fd/{self._fd}",
                                  posix.O_WRONLY | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC)
        except OSError:
            return self._write_if_writable
        return self._write

    def _write(self, data: bytes) -> int:
        return posix.write(self._fd, data)

    def _send_to_socket(self, data: bytes) -> int:
        return self._socket.send(data, socket.MSG_DONTWAIT)  # type: ignore[no-any-return]

    def _write_if_writable(self, data: bytes) -> int:
        # Another process may fill the pipe after the look; on Linux this is not needed.
        return posix.write(self._fd, data[:PIECE]) if self._hub.is_writable(self._fd) else 0

    def write(self, text: str) -> int:
        """Write *text* now, as far as it goes without waiting, or later.

        :raises OSError: if the descriptor cannot be written to, because a disk is full or the reader has gone
        """
        data = text.encode(self._encoding, "backslashreplace")
        if self._size + len(data) > LIMIT:
            self.flush()
            if self._size + len(data) > LIMIT:
                self._dropped += 1
                return len(text)
        self._pending.append(data)
        self._size += len(data)
        self.flush()
        return len(text)

    def flush(self) -> None:
        """Write what is kept, as far as it goes without waiting.

        :raises OSError: if the descriptor cannot be written to; what was to be written is lost
        """
        while self._pending:
            data = self._pending.popleft()
            self._size -= len(data)
            try:
                written = self._send(data)
            except OSError as error:
                if error.errno not in _NOT_NOW:
                    raise
                written = 0
            if written < len(data):
                self._pending.appendleft(data[written:])
                self._size += len(data) - written
                if not written:
                    return

    def retry(self) -> int:
        """Try again to write what is kept; return how many lines have been dropped since the last call."""
        try:
            self.flush()
        except OSError:
            self._dropped += 1
        dropped, self._dropped = self._dropped, 0
        return dropped

    @property
    def waits(self) -> bool:
        """Whether something is kept."""
        return bool(self._pending)

    def close(self) -> None:
        """Close this stream and the one that it replaces."""
        if self._socket is not None:
            self._socket.close()
        elif self._fd != self._stream.fileno():
            posix.close(self._fd)
        self._stream.close()
