"""Pauses between attempts to boot a worker, with a clock that the test turns."""

from __future__ import annotations

import pytest

from gworkers.master import boot_backoff as attempts
from gworkers.master.boot_backoff import BootBackoff

pytestmark = pytest.mark.smoke


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [100.0]
    monkeypatch.setattr(attempts, "monotonic", lambda: time[0])
    return time


def test_pauses_grow_up_to_a_minute(clock: list[float]) -> None:
    tried = BootBackoff()
    assert tried.is_due()
    assert [tried.fail() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    # As in a weekend.
    assert {tried.fail() for _ in range(5000)} == {60}
    assert tried.failures == 5008


def test_next_attempt(clock: list[float]) -> None:
    tried = BootBackoff()
    assert tried.includes(99.0)
    tried.fail()
    # Of the same one as that which has failed.
    assert not tried.includes(99.9)
    assert not tried.is_due()
    clock[0] += 1
    assert tried.is_due()
    assert tried.includes(clock[0])
