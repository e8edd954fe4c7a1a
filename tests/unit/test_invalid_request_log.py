"""The rate limit of the log of invalid requests."""

from __future__ import annotations

from typing import Any

import pytest

from gworkers.logs.invalid_request_log import INTERVAL, LINES, InvalidRequestLog


class Recorder:
    """Stands for the hub and for the log queue."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.timers: list[tuple[float, Any]] = []

    def call_later(self, seconds: float, callback: Any) -> None:
        self.timers.append((seconds, callback))

    def warning(self, message: str, *args: object) -> None:
        self.lines.append(message % args)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def log(recorder: Any) -> InvalidRequestLog:
    return InvalidRequestLog(recorder, recorder)


def test_defaults() -> None:
    assert (LINES, INTERVAL) == (100, 10.0)


def test_no_more_than_the_limit_is_logged(recorder: Recorder, log: InvalidRequestLog) -> None:
    for _ in range(LINES + 3):
        log.report("192.0.2.1", "nonsense")
    assert recorder.lines == ["Invalid request from ip=192.0.2.1: nonsense"] * LINES


def test_interval_ends_with_the_count(recorder: Recorder, log: InvalidRequestLog) -> None:
    for _ in range(LINES + 3):
        log.report("192.0.2.1", "nonsense")
    ((seconds, end),) = recorder.timers
    assert seconds == INTERVAL
    end()
    assert recorder.lines[LINES:] == ["Invalid requests in the last 10 s that were not logged: 3."]
    log.report("192.0.2.1", "more")
    assert recorder.lines[-1] == "Invalid request from ip=192.0.2.1: more"
    assert len(recorder.timers) == 2


def test_interval_within_the_limit_ends_silently(recorder: Recorder, log: InvalidRequestLog) -> None:
    for _ in range(LINES):
        log.report("192.0.2.1", "nonsense")
    recorder.timers[0][1]()
    assert len(recorder.lines) == LINES
