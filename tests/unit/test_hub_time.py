"""Hub time, with plain greenlets and a clock of its own."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import greenlet
import pytest

from gworkers.serving import hub_time as hub_time_module
from gworkers.serving.hub_time import measure

pytestmark = [
    pytest.mark.smoke,
    pytest.mark.skipif(not getattr(greenlet, "GREENLET_USE_TRACING", False), reason="greenlet reports no switches"),
]


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(hub_time_module, "monotonic", clock)
    return clock


@pytest.fixture(autouse=True)
def trace_function():
    previous = greenlet.gettrace()
    yield
    greenlet.settrace(previous)


@pytest.fixture
def served(clock):
    """Returns a function that lets a greenlet run for the given numbers of seconds, with waits between them."""
    hub = greenlet.getcurrent()
    active: Any = {}
    assert measure(active)

    def served(*steps):
        def run():
            active[one] = connection
            connection.started = clock.now
            for seconds in steps:
                clock.now += seconds
                with suppress(ZeroDivisionError):
                    hub.switch()
            connection.time = clock.now - connection.started - connection.waited

        connection = SimpleNamespace(waited=0.0, time=None)
        one = greenlet.greenlet(run)
        return one, connection

    return served


def test_waits_do_not_count(clock, served):
    one, connection = served(1, 2, 4)
    for _ in range(4):
        one.switch()
        clock.now += 100
    assert connection.time == 7


def test_greenlets_that_alternate_do_not_count_for_each_other(clock, served):
    pairs = [served(1, 2), served(10, 20)]
    for _ in range(3):
        for one, _ in pairs:
            one.switch()
    assert [connection.time for _, connection in pairs] == [3, 30]


def test_switch_from_one_request_to_another_counts_for_both(clock, served):
    inner, inner_connection = served(2)
    outer, outer_connection = served(1)
    outer.switch()
    inner.parent = outer
    # The inner greenlet ends in the outer one.
    inner.switch()
    clock.now += 8
    inner.switch()
    assert (inner_connection.time, outer_connection.time) == (2, 1)


def test_hub_time_of_a_greenlet_that_waits(clock, served):
    one, connection = served(3, 5)
    one.switch()
    clock.now += 100
    assert -connection.waited - connection.started == 3


def test_wait_that_an_exception_ends_does_not_count(clock, served):
    one, connection = served(3, 5)
    one.switch()
    clock.now += 100
    one.throw(ZeroDivisionError)
    one.switch()
    assert connection.time == 8


def test_trace_function_that_is_installed_already_is_still_called():
    seen = []
    greenlet.settrace(lambda event, greenlets: seen.append(event))
    assert measure({})
    greenlet.greenlet(lambda: None).switch()
    assert seen == ["switch", "switch"]


def test_greenlet_without_trace_functions(monkeypatch):
    monkeypatch.setattr(greenlet, "GREENLET_USE_TRACING", False)
    assert not measure({})
    assert greenlet.gettrace() is None
