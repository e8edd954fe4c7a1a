"""Calls from other native threads in the thread of the hub."""
from __future__ import annotations

import os
import posix
from collections import deque
from typing import TYPE_CHECKING, Callable

from gworkers.hubs.guard import contained, hub_callback

if TYPE_CHECKING:
    from gworkers.hubs.base import Hub
    from gworkers.logs.queue import LogQueue


class ThreadCalls:
    """Calls functions in the hub, soon after another thread asks for it. Create it in the hub's thread.

    :param hub: the hub
    :param log: where to report exceptions
    """

    def __init__(self, hub: Hub, log: LogQueue) -> None:
        self.log = log
        self._functions: deque[Callable[[], object]] = deque()
        #: whether a byte in the pipe will wake up the hub
        self._woken = False
        self._pipe = posix.pipe()
        for fd in self._pipe:
            os.set_blocking(fd, False)
        self._watcher = hub.watch_read(self._pipe[0])
        self._watcher.start(self._call)

    def __str__(self) -> str:
        return "calls from native threads"

    def call(self, function: Callable[[], object]) -> None:
        """Call *function* in the hub. Any thread may call this."""
        self._functions.append(function)
        self._wake()

    @hub_callback
    def _call(self) -> None:
        posix.read(self._pipe[0], 512)
        # Before the functions are taken: a thread that adds one from now on writes to the pipe again.
        self._woken = False
        for _ in range(len(self._functions)):
            with contained(self):
                self._functions.popleft()()
        if self._functions:
            self._wake()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            posix.write(self._pipe[1], b".")

    def recover(self) -> None:
        """Nothing is to be done after a function has raised an exception: the watcher is level-triggered."""

    def release_after_fork(self) -> None:
        """Close the file descriptors in a process that the application has forked."""
        self._watcher.stop()
        for fd in self._pipe:
            posix.close(fd)
