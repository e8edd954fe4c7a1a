"""Which workers are stopped, and in what order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gworkers.master.worker_pool import WorkerPool
from gworkers.shared_state import Order, Phase, WorkerState

BOOTING, READY, RETIRING, DRAINING = Phase


def pool(*phases: Phase, previous_age: int = 0, stopped: tuple[int, ...] = ()) -> WorkerPool:
    """Workers in these phases, with the ages 1, 2, 3 and so on. The master has told those in *stopped* to stop."""
    workers = []
    for age, phase in enumerate(phases, 1):
        worker: Any = SimpleNamespace(age=age, state=WorkerState(phase))
        if age in stopped:
            worker.state.order = Order.STOP
        workers.append(worker)
    return WorkerPool(reversed(workers), previous_age)


def ages(workers: list[Any]) -> list[int]:
    return [worker.age for worker in workers]


def test_retiring_worker_serves_but_is_not_current() -> None:
    workers = pool(READY, RETIRING, DRAINING, BOOTING)
    assert ages(workers.serving) == [1, 2]
    assert ages(workers.current) == [1, 4]


def test_stopped_worker_is_not_counted() -> None:
    workers = pool(READY, READY, stopped=(1,))
    assert ages(workers.serving) == ages(workers.current) == [2]
    assert workers.superfluous(1, 1) == []


def test_worker_of_another_package_counts_as_ready() -> None:
    assert ages(WorkerPool([SimpleNamespace(age=1)], 0).current_ready) == [1]


@pytest.mark.parametrize(("phases", "stopped"), [
    ((READY, READY, BOOTING, BOOTING), []),
    ((READY, READY, READY, BOOTING), [1]),
    ((READY, READY, READY, READY), [1, 2]),
    ((BOOTING, READY, BOOTING, BOOTING), [1]),
    ((RETIRING, READY, READY, BOOTING), [1]),
])
def test_worker_is_replaced_when_its_successor_is_ready(phases: tuple[Phase, ...], stopped: list[int]) -> None:
    assert ages(pool(*phases, previous_age=2).superfluous(2, 2)) == stopped


def test_more_workers_serve_during_a_trial_that_reduces_their_number() -> None:
    assert ages(pool(READY, READY, READY, BOOTING, previous_age=3).superfluous(1, 3)) == []
    assert ages(pool(READY, READY, READY, READY, previous_age=3).superfluous(1, 3)) == [1]
    assert ages(pool(READY, READY, READY, READY, previous_age=3).superfluous(1, 1)) == [1, 2, 3]


def test_surplus_workers_that_boot_are_stopped_first() -> None:
    assert ages(pool(READY, READY, BOOTING).superfluous(2, 2)) == [3]
    assert ages(pool(READY, READY, BOOTING).superfluous(1, 1)) == [3, 1]


def test_retiring_worker_without_successor_stays() -> None:
    assert pool(RETIRING, BOOTING).superfluous(1, 1) == []
    assert ages(pool(RETIRING, READY).superfluous(1, 1)) == [1]


def numbered(*numbers: int, previous_age: int) -> WorkerPool:
    """Ready workers with these numbers, from the oldest to the youngest."""
    return WorkerPool([SimpleNamespace(age=age, number=number, state=WorkerState(READY))
                       for age, number in enumerate(numbers, 1)], previous_age)


def test_worker_is_replaced_first_if_a_younger_one_has_its_number() -> None:
    """Otherwise the functions that are bound to worker number 1 or 2 would not run until its successor is ready."""
    assert ages(numbered(1, 2, 3, 2, previous_age=3).superfluous(3, 3)) == [2]
    # Two generations are outdated, because reloads have followed each other faster than workers have booted.
    assert ages(numbered(2, 3, 1, 3, 1, previous_age=4).superfluous(3, 3)) == [2, 3]
