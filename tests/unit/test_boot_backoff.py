"""Pauses between attempts to boot a worker, with a clock that the test sets."""

from __future__ import annotations

import pytest

from gworkers.master import boot_backoff
from gworkers.master.boot_backoff import BootBackoff

pytestmark = pytest.mark.smoke


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [100.0]
    monkeypatch.setattr(boot_backoff, "monotonic", lambda: time[0])
    return time


def test_pauses_grow_up_to_a_minute(clock: list[float]) -> None:
    backoff = BootBackoff()
    assert backoff.is_due()
    assert [backoff.fail() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    # As many as on a weekend.
    assert {backoff.fail() for _ in range(5000)} == {60}
    assert backoff.failures == 5008


def test_next_attempt_is_due_after_the_pause(clock: list[float]) -> None:
    backoff = BootBackoff()
    assert backoff.includes(99.0)
    backoff.fail()
    # This worker belongs to the attempt that has failed.
    assert not backoff.includes(99.9)
    assert not backoff.is_due()
    clock[0] += 1
    assert backoff.is_due()
    assert backoff.includes(clock[0])
