"""When responses are batched, and when they are sent at once."""

from __future__ import annotations

from typing import Any

import pytest

from gworkers.serving import outbox
from gworkers.serving.outbox import LONG_REQUEST, MAX_WAIT, UNBATCHED_FACTOR, Outbox


class Recorder:
    """Stands for the hub, and for a connection."""

    def __init__(self) -> None:
        self.scheduled: list[Any] = []
        self.flushes = 0

    def call_soon(self, callback: Any) -> None:
        self.scheduled.append(callback)

    def flush(self) -> None:
        self.flushes += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the outbox: the first item."""
    now = [1000.0]
    monkeypatch.setattr(outbox, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def box(clock: list[float], recorder: Any) -> Outbox:
    return Outbox(recorder, recorder)


def test_responses_of_one_turn_are_sent_at_its_end(box: Outbox, recorder: Any) -> None:
    assert box.add(recorder)
    assert box.add(recorder)
    assert recorder.flushes == 0
    (end_of_turn,) = recorder.scheduled
    end_of_turn()
    assert recorder.flushes == 2
    assert box.add(recorder)
    assert len(recorder.scheduled) == 2


def test_no_response_waits_longer_than_the_limit(box: Outbox, recorder: Any, clock: list[float]) -> None:
    for _ in range(4):
        assert box.add(recorder)
        clock[0] += MAX_WAIT * 0.3
    assert not box.add(recorder)
    assert recorder.flushes == 4


def test_responses_are_sent_at_once_after_a_long_request(box: Outbox, recorder: Any, clock: list[float]) -> None:
    assert box.add(recorder)
    clock[0] += LONG_REQUEST * 2
    assert not box.add(recorder)
    assert recorder.flushes == 1
    clock[0] += LONG_REQUEST * 2 * UNBATCHED_FACTOR * 0.9
    assert not box.add(recorder)
    clock[0] += LONG_REQUEST * 2 * UNBATCHED_FACTOR * 0.2
    assert box.add(recorder)
