"""Connection timeouts: one coarse timer for all connections of a worker.

Every queue holds connections that share one timeout, so they expire in the order in which
they were added and a sweep looks at those that are due and one more.
"""
from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar

from gworkers.hubs.base import Hub
from gworkers.hubs.guard import Recoverable, contained, hub_callback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gworkers.logs.queue import LogQueue

T = TypeVar("T", bound=Recoverable)

#: How late, in seconds, a deadline may be noticed.
TICK = 0.1


class Deadline(Generic[T]):
    """A timeout, and the connections that it runs for.

    :param timeout: seconds; 0 means never
    :param expire: called in the hub with each connection whose time is over, which has left the queue
    """

    __slots__ = ("_deadlines", "_entries", "_expire", "timeout")

    def __init__(self, deadlines: Deadlines, timeout: float, expire: Callable[[T], None]) -> None:
        self._deadlines = deadlines
        self._expire = expire
        self._entries: dict[T, float] = {}
        self.timeout = timeout or inf

    def start(self, connection: T) -> None:
        """Give *connection* the whole timeout from now on. It must not be in the queue."""
        self._entries[connection] = monotonic()
        if self._deadlines.asleep:
            self._deadlines.wake()

    def stop(self, connection: T) -> None:
        """Let *connection* have as long as it likes. Nothing happens if it is not in the queue."""
        self._entries.pop(connection, None)

    def clear(self) -> None:
        """Let all connections have as long as they like."""
        self._entries.clear()

    def __iter__(self) -> Iterator[tuple[T, float]]:
        """Iterate over the connections, each with the time at which it came, in the order in which they did."""
        return iter(self._entries.items())

    def __len__(self) -> int:
        return len(self._entries)

    def sweep(self, now: float) -> None:
        """Expire what was due at *now*."""
        due = []
        latest = now - self.timeout
        for connection, start in self._entries.items():
            if start > latest:
                break
            due.append(connection)
        for connection in due:
            # One that expires may end another.
            if self._entries.pop(connection, None) is not None:
                with contained(connection):
                    self._expire(connection)


class Deadlines:
    """The timer behind all deadlines. It runs only while there is something to watch."""

    def __init__(self, hub: Hub, log: LogQueue) -> None:
        self._hub = hub
        self.log = log
        self._queues: list[Deadline[Any]] = []
        self.asleep = True
        #: how many times the timer has looked
        self._sweeps = 0

    def add(self, timeout: float, expire: Callable[[T], None]) -> Deadline[T]:
        """Return a new deadline of *timeout* seconds."""
        deadline = Deadline(self, timeout, expire)
        self._queues.append(deadline)
        return deadline

    def clear(self) -> None:
        """Let everybody have as long as they like."""
        for queue in self._queues:
            queue.clear()

    def wake(self) -> None:
        """Start the timer, unless it runs."""
        if self.asleep:
            self._hub.call_later(TICK, self._sweep)
            self.asleep = False

    def next(self) -> object:
        """Return the number of the sweep that is due next, for comparison; None if there is nothing to watch."""
        return self._sweeps + 1 if any(self._queues) else None

    def recover(self) -> None:
        """Start the timer again, if there is something to watch."""
        self.asleep = True
        if any(self._queues):
            self.wake()

    @hub_callback
    def _sweep(self) -> None:
        self._sweeps += 1
        now = monotonic()
        for queue in self._queues:
            queue.sweep(now)
        self.recover()
