"""State that a master and its workers share.

Gunicorn creates worker objects in the master, before the fork. The slot of memory that each one takes is therefore
shared between both processes.
"""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from mmap import mmap
from typing import Any
from weakref import finalize

from gworkers.one_time_claim import OneTimeClaim
from gworkers.shared_memory import MemoryFile, Slot


class Phase(IntEnum):
    """How far a worker has come. The worker writes it, the master reads it."""

    #: The worker does not serve yet.
    BOOTING = 0
    #: The worker has loaded the application and accepts connections.
    READY = 1
    #: The worker serves until a successor is ready.
    RETIRING = 2
    #: The worker accepts no more connections.
    DRAINING = 3


class Order(IntEnum):
    """An order of the master to a worker, in addition to a signal. The master writes it, the worker reads it."""

    #: No order.
    NOTHING = 0
    #: Stop.
    STOP = 1
    #: Stop, because other workers accept instead.
    REPLACED = 2


#: The memory of this server. The first slot is that of the server as a whole, the others are those of workers.
MEMORY = MemoryFile()

PHASE, ORDER, ABORTED, REPORTED = range(4)


class WorkerState:
    """The shared state of one worker.

    :raises OSError: if there is no memory for it
    """

    def __init__(self, phase: Phase = Phase.BOOTING) -> None:
        #: the memory; its index is unique among all processes of the server
        self.slot = MEMORY.take(1)
        self.phase = phase
        # Only the master frees it. Its workers have copies of this object.
        self.free = finalize(self, _free, self.slot, os.getpid())
        self.free.atexit = False

    @property
    def phase(self) -> Phase:
        """How far the worker has come."""
        return Phase(self.slot.flag(PHASE))

    @phase.setter
    def phase(self, phase: Phase) -> None:
        self.slot.set_flag(PHASE, phase)

    @property
    def order(self) -> Order:
        """The order of the master to the worker."""
        return Order(self.slot.flag(ORDER))

    @order.setter
    def order(self, order: Order) -> None:
        self.slot.set_flag(ORDER, order)

    @property
    def aborted(self) -> bool:
        """Whether the master has sent SIGABRT to the worker."""
        return bool(self.slot.flag(ABORTED))

    @aborted.setter
    def aborted(self, aborted: bool) -> None:
        self.slot.set_flag(ABORTED, aborted)

    @property
    def reported(self) -> bool:
        """Whether the worker has logged what ran when it was aborted."""
        return bool(self.slot.flag(REPORTED))

    @reported.setter
    def reported(self, reported: bool) -> None:
        self.slot.set_flag(REPORTED, reported)


def _free(slot: Slot, pid: int) -> None:
    if os.getpid() == pid:
        MEMORY.free(slot)


def state_of(worker: Any) -> WorkerState:
    """Return the shared state of *worker*.

    A worker class of another package has none. Its workers count as ready.
    """
    if not hasattr(worker, "state"):
        worker.state = WorkerState(Phase.READY)
    state: WorkerState = worker.state
    return state


class ServerState:
    """The state that a master shares with all its workers."""

    def __init__(self) -> None:
        self._memory = mmap(-1, 2)
        #: Claimed by the worker that logs the warnings that are the same in all workers. Renewed by each reload.
        self.warnings = OneTimeClaim()
        #: Claimed by the one worker that logs why workers cannot boot. Renewed by each reload.
        self.boot_failure = OneTimeClaim()
        #: Whether this process is a master in the middle of a reload.
        self.reloading = False
        #: Whether the master replaces workers by generations. If not, a worker cannot wait for a successor.
        self.reloads_managed = False
        #: Whether a script has started the server with :func:`gworkers.serve`.
        self.started_by_script = False
        #: The generation of the workers that the master makes next.
        self.generation = 1
        #: The number of the worker that the master makes next. 0: the index of its slot.
        self.next_number = 0

    @property
    def was_ready(self) -> bool:
        """Whether any worker has ever been ready. After that, a worker that cannot boot does not stop the server."""
        return bool(self._memory[0])

    def record_ready(self) -> None:
        """Record that a worker is ready."""
        self._memory[0] = 1

    @property
    def warned_of_root(self) -> bool:
        """Whether the warning was logged that the application runs as root, by the master or by a dry run."""
        return bool(self._memory[1])

    @warned_of_root.setter
    def warned_of_root(self, warned: bool) -> None:
        self._memory[1] = warned

    @contextmanager
    def reload(self) -> Iterator[None]:
        """The context of a reload. New workers may log again what earlier workers have logged."""
        self.warnings.renew()
        self.boot_failure.renew()
        self.reloading = True
        try:
            yield
        finally:
            self.reloading = False


#: The state of this server. The master creates it when it imports this module; workers inherit it.
SERVER_STATE = ServerState()
