"""A doorbell for several processes: each one that listens wakes up when any of them rings."""
from __future__ import annotations

import os
import posix
from contextlib import suppress
from typing import Any

#: As in the select module, from which a hub may have removed them.
EPOLLIN, EPOLLET = 0x1, 0x80000000


class Doorbell:
    """A pipe that all processes inherit.

    :param reader: its file descriptors
    """

    def __init__(self, reader: int, writer: int) -> None:
        self.pipe = reader, writer
        for fd in self.pipe:
            os.set_blocking(fd, False)

    def ring(self) -> None:
        """Wake all listeners."""
        reader, writer = self.pipe
        with suppress(BlockingIOError):
            # An empty pipe that becomes readable is what wakes a listener.
            posix.read(reader, 4096)
        with suppress(BlockingIOError):
            posix.write(writer, b".")


class Listener:
    """Wakes up one greenlet of this process: by the doorbell, or by :meth:`wake`.

    Without epoll the doorbell has no effect, because the first process to read from the pipe would hide the ring from
    the others.

    :param doorbell: the doorbell
    :param epoll: an object that this takes, see :meth:`gworkers.hubs.base.Hub.native_epoll`
    """

    def __init__(self, doorbell: Doorbell, epoll: Any) -> None:
        self._pipe = posix.pipe()
        for fd in self._pipe:
            os.set_blocking(fd, False)
        self._epoll = epoll
        #: readable when there was a ring or a call of :meth:`wake`, until :meth:`clear`
        self.fd = self._pipe[0]
        if self._epoll is not None:
            self.fd = self._epoll.fileno()
            self._epoll.register(self._pipe[0], EPOLLIN)
            self._epoll.register(doorbell.pipe[0], EPOLLIN | EPOLLET)

    @property
    def has_doorbell(self) -> bool:
        """Whether a ring wakes it up."""
        return self._epoll is not None

    def wake(self) -> None:
        """Wake up the greenlet. Any native thread may call this."""
        with suppress(BlockingIOError):
            posix.write(self._pipe[1], b".")

    def clear(self) -> None:
        """Be ready for the next ring."""
        if self._epoll is not None:
            self._epoll.poll(0)
        with suppress(BlockingIOError):
            posix.read(self._pipe[0], 4096)
