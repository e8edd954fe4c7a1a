"""Which workers serve, which stay and which are stopped: decisions without side effects."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gworkers.shared_state import Phase, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable


class WorkerPool:
    """The workers that have no order to stop, as of this moment, from the oldest to the youngest.

    :param workers: all workers of the arbiter
    :param previous_age: the age of the youngest worker of earlier generations, which are to be replaced
    """

    def __init__(self, workers: Iterable[Any], previous_age: int) -> None:
        # A worker may change its phase at any time, so each phase is read once.
        phases = [(worker, state_of(worker).phase) for worker in sorted(workers, key=lambda worker: worker.age)
                  if not state_of(worker).order]
        current = [(worker, phase) for worker, phase in phases
                   if worker.age > previous_age and phase in (Phase.BOOTING, Phase.READY)]
        #: Workers that accept connections.
        self.serving = [worker for worker, phase in phases if phase in (Phase.READY, Phase.RETIRING)]
        #: Workers of the current generation that are to stay: they boot, or they are ready.
        self.current = [worker for worker, _ in current]
        self.current_booting = [worker for worker, phase in current if phase == Phase.BOOTING]
        self.current_ready = [worker for worker, phase in current if phase == Phase.READY]
        self._outdated_booting = [worker for worker, phase in phases
                                  if phase == Phase.BOOTING and worker not in self.current]

    @property
    def is_settled(self) -> bool:
        """Whether all workers have booted and none waits for its successor."""
        return not self.current_booting and all(worker in self.current_ready for worker in self.serving)

    @property
    def free_number(self) -> int:
        """The lowest number that no worker of the current generation has which is to stay."""
        used = {_number(worker) for worker in self.current}
        return next(number for number in range(1, len(used) + 2) if number not in used)

    def superfluous(self, wanted: int, needed: int) -> list[Any]:
        """Return the workers to stop.

        :param wanted: how many workers of the current generation are to run
        :param needed: how many workers have to serve before others are replaced
        """
        outdated = [worker for worker in self.serving if worker not in self.current]
        # Last those that are the youngest of their number, because background functions may be bound to a number.
        youngest = {_number(worker): worker for worker in self.serving}
        outdated.sort(key=lambda worker: youngest[_number(worker)] is worker)
        replaced = outdated[:max(len(self.serving) - needed, 0)]
        # Workers that boot serve no connection, so they are the first to go. Then the oldest, as in Gunicorn.
        surplus = (self.current_booting + self.current_ready)[:max(len(self.current) - wanted, 0)]
        return self._outdated_booting + replaced + surplus


def _number(worker: Any) -> int:
    """Return the number of *worker*; 0 if its class is that of another package."""
    number: int = getattr(worker, "number", 0)
    return number
