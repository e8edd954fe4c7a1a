"""Connection timeouts: one coarse timer for all connections of a worker.

Each :class:`Deadline` is a queue of connections that share one timeout. They expire in the order in
which they were added, so a sweep looks only at those that are due and at one more.
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

#: Seconds between two sweeps, and so the largest delay of a timeout.
TICK = 0.1


class Deadline(Generic[T]):
    """A timeout, and the connections that it applies to.

    :param timeout: seconds; 0 for no limit
    :param expire: called in the hub with each connection whose time is over, after it was removed from the queue
    """

    __slots__ = ("_deadlines", "_entries", "_expire", "timeout")

    def __init__(self, deadlines: Deadlines, timeout: float, expire: Callable[[T], None]) -> None:
        self._deadlines = deadlines
        self._expire = expire
        self._entries: dict[T, float] = {}
        self.timeout = timeout or inf

    def start(self, connection: T) -> None:
        """Add *connection*, which must not be in the queue: its timeout begins now."""
        self._entries[connection] = monotonic()
        if self._deadlines.asleep:
            self._deadlines.wake()

    def stop(self, connection: T) -> None:
        """Remove *connection*. Nothing happens if it is not in the queue."""
        self._entries.pop(connection, None)

    def clear(self) -> None:
        """Remove all connections."""
        self._entries.clear()

    def __iter__(self) -> Iterator[tuple[T, float]]:
        """Iterate over the connections, each with the time when it was added, the oldest first."""
        return iter(self._entries.items())

    def __len__(self) -> int:
        return len(self._entries)

    def sweep(self, now: float) -> None:
        """Expire the connections that are due at *now*."""
        due = []
        latest = now - self.timeout
        for connection, start in self._entries.items():
            if start > latest:
                break
            due.append(connection)
        for connection in due:
            # A connection that expires may close another one.
            if self._entries.pop(connection, None) is not None:
                with contained(connection):
                    self._expire(connection)


class Deadlines:
    """The timer of all deadlines. It runs only while they have connections."""

    def __init__(self, hub: Hub, log: LogQueue) -> None:
        self._hub = hub
        self.log = log
        self._queues: list[Deadline[Any]] = []
        self.asleep = True
        #: the number of sweeps so far
        self._sweeps = 0

    def add(self, timeout: float, expire: Callable[[T], None]) -> Deadline[T]:
        """Return a new deadline of *timeout* seconds."""
        deadline = Deadline(self, timeout, expire)
        self._queues.append(deadline)
        return deadline

    def clear(self) -> None:
        """Remove all connections from all deadlines."""
        for queue in self._queues:
            queue.clear()

    def wake(self) -> None:
        """Start the timer unless it runs."""
        if self.asleep:
            self._hub.call_later(TICK, self._sweep)
            self.asleep = False

    def next_step(self) -> object:
        """Return the number of the next sweep, or None if no deadline has connections."""
        return self._sweeps + 1 if any(self._queues) else None

    def recover(self) -> None:
        """Start the timer again if a deadline has connections."""
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
