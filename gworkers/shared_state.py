"""What a worker and its master know of each other: a few bytes of memory that both see.

Gunicorn makes the objects of its workers in the master, before the fork, so what is mapped there is shared.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from typing import Any

from gworkers.one_time_claim import OneTimeClaim

#: The phases of a worker. BOOTING: it does not serve yet. READY: it has loaded the application and accepts.
#: RETIRING: it goes on until a successor is ready. DRAINING: it accepts no more.
BOOTING, READY, RETIRING, DRAINING = range(4)

#: What the master has told a worker, beside a signal. STOP: to stop. REPLACED: to stop, for others accept instead.
NOTHING, STOP, REPLACED = range(3)


class Status:
    """One worker's: it writes :attr:`phase`, the master writes :attr:`order`."""

    def __init__(self, phase: int = BOOTING) -> None:
        self._memory = mmap(-1, 2)
        self.phase = phase

    @property
    def phase(self) -> int:
        """How far the worker is."""
        return self._memory[0]

    @phase.setter
    def phase(self, phase: int) -> None:
        self._memory[0] = phase

    @property
    def order(self) -> int:
        """What the master has told the worker."""
        return self._memory[1]

    @order.setter
    def order(self, order: int) -> None:
        self._memory[1] = order


def status_of(worker: Any) -> Status:
    """Return a worker's status. One of a class that has none, after a reload with another, counts as ready."""
    if not hasattr(worker, "status"):
        worker.status = Status(READY)
    status: Status = worker.status
    return status


class Board:
    """What all workers of a master know."""

    def __init__(self) -> None:
        self._memory = mmap(-1, 2)
        #: to log what all workers find alike, since the start or the last reload; and why one cannot boot
        self.warning, self.failure = OneTimeClaim(), OneTimeClaim()
        #: whether this process is a master in the middle of a reload
        self.reloading = False
        #: whether the master sees to successors
        self.reloads_managed = False

    @property
    def proven(self) -> bool:
        """Whether any worker has ever been ready, so that one that cannot boot is no reason to stop the server."""
        return bool(self._memory[0])

    def prove(self) -> None:
        """A worker is ready."""
        self._memory[0] = 1

    @property
    def warned_of_root(self) -> bool:
        """Whether it was logged that the application runs as root: by the master, or by a rehearsal of its."""
        return bool(self._memory[1])

    @warned_of_root.setter
    def warned_of_root(self, warned: bool) -> None:
        self._memory[1] = warned

    @contextmanager
    def reload(self) -> Iterator[None]:
        """The context of a reload: what workers find from now on is new."""
        self.warning.renew()
        self.failure.renew()
        self.reloading = True
        try:
            yield
        finally:
            self.reloading = False


#: This server's.
BOARD = Board()
