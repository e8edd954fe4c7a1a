"""A stream for log lines that never blocks the worker.

A log handler that writes to a pipe, a FIFO, a terminal or a socket waits for its reader. If the reader
is slow, the whole worker waits, until the arbiter kills it. :class:`LogStream` buffers the data that
the reader does not accept, up to a limit, and tries again with the next line and between heartbeats.
Lines above the limit are dropped and counted.
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

#: Maximum number of bytes in the buffer.
LIMIT = 1024 * 1024
#: Bytes that a writable pipe accepts without blocking: POSIX guarantees that PIPE_BUF is at least this.
PIECE = 512

_WOULD_BLOCK = frozenset((errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR))


class LogStream:
    """Writes text to the file descriptor of another stream.

    :param stream: the stream that it replaces. Attributes that this class lacks are looked up there.
    :param hub: polls the file descriptor, if that cannot be opened again with ``O_NONBLOCK``
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
        self._send = self._choose_send()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _choose_send(self) -> Callable[[bytes], int]:
        mode = os.fstat(self._fd).st_mode
        if stat.S_ISREG(mode):
            return self._write
        if stat.S_ISSOCK(mode) and hasattr(socket, "MSG_DONTWAIT"):
            self._socket = _socket.socket(fileno=os.dup(self._fd))
            return self._send_to_socket
        try:
            # A separate open file description: O_NONBLOCK on the shared one would affect other processes.
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
        # Another process may fill the pipe after the poll, so this may block. Linux does not need this fallback.
        return posix.write(self._fd, data[:PIECE]) if self._hub.is_writable(self._fd) else 0

    def write(self, text: str) -> int:
        """Write *text* as far as possible without blocking and buffer the rest.

        :raises OSError: if the write fails, for example because the disk is full or the reader has closed
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
        """Write the buffered data as far as possible without blocking.

        :raises OSError: if the write fails; the data of the failed write is lost
        """
        while self._pending:
            data = self._pending.popleft()
            self._size -= len(data)
            try:
                written = self._send(data)
            except OSError as error:
                if error.errno not in _WOULD_BLOCK:
                    raise
                written = 0
            if written < len(data):
                self._pending.appendleft(data[written:])
                self._size += len(data) - written
                if not written:
                    return

    def retry(self) -> int:
        """Write the buffered data again. Return the number of lines dropped since the last call."""
        try:
            self.flush()
        except OSError:
            self._dropped += 1
        dropped, self._dropped = self._dropped, 0
        return dropped

    @property
    def has_pending(self) -> bool:
        """Whether the buffer holds data."""
        return bool(self._pending)

    def close(self) -> None:
        """Close this stream and the stream that it replaces."""
        if self._socket is not None:
            self._socket.close()
        elif self._fd != self._stream.fileno():
            posix.close(self._fd)
        self._stream.close()
