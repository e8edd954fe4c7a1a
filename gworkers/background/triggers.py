"""What starts a handler: the protocol of triggers, and the simplest one, a timer.

A handler has one number, ``last``, that survives its worker: it says which of its runs was started last. It is stored
before a run starts, so that no other worker starts the same run again.
"""
from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf, isfinite
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from gworkers.background.scheduler import Scheduler

#: The shortest period of a timer in seconds.
SHORTEST = 0.01


class Step(NamedTuple):
    """What a trigger has to say at one moment."""

    #: the value of ``last`` from now on
    last: float
    #: whether the handler is to be started now
    is_due: bool = False
    #: the arguments to start it with
    arguments: tuple[object, ...] = ()
    #: seconds until the next step, at most
    wait: float = inf


class Source(Protocol):
    """A trigger in one worker, which owns the handler or runs its own."""

    def first(self) -> float:
        """Return ``last`` of a handler that has never run."""

    def step(self, last: float) -> Step:
        """Return what is due after *last*. Never waits."""

    def close(self) -> None:
        """Release what the trigger uses, because the worker does not own the handler any more."""


class Trigger(Protocol):
    """What starts a handler. Two equal triggers start it at the same moments."""

    #: one of :data:`gworkers.status.figures.BACKGROUND_KINDS`
    kind: str
    #: the decorator of :mod:`gworkers.background`
    use: str
    #: the number of arguments of a call
    parameters: int
    #: whether what is due while the handler runs stays due until it has ended; otherwise it is skipped
    queues: bool

    def source(self, scheduler: Scheduler) -> Source:
        """Return its source in the worker of *scheduler*."""


@dataclass(frozen=True)
class Timer:
    """Starts a handler each *seconds*, on a grid, in the monotonic clock, which all processes share."""

    seconds: float
    kind = "timer"
    use = "timer"
    parameters = 0
    queues = False

    def __post_init__(self) -> None:
        if not isinstance(self.seconds, (int, float)) or not isfinite(self.seconds) or self.seconds < SHORTEST:
            raise ValueError(f"a timer needs a period of at least {SHORTEST} seconds, not {self.seconds!r}")

    def source(self, scheduler: Scheduler) -> Source:
        """Return itself."""
        return self

    def first(self) -> float:
        """Return the present time: the first run is one period later."""
        return monotonic()

    def step(self, last: float) -> Step:
        """Return the slots since *last* as one. *last* is the time of the last slot that has passed."""
        passed = floor((monotonic() - last) / self.seconds)
        if passed < 1:
            return Step(last, wait=last + self.seconds - monotonic())
        return Step(last + passed * self.seconds, is_due=True)

    def close(self) -> None:
        """Do nothing."""


