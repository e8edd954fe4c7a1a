"""When timers and cron expressions are due."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from math import inf
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gworkers.background import triggers
from gworkers.background.triggers import Timer

pytestmark = pytest.mark.smoke


class Clock:
    """A clock that stands still."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(1000.0)
    monkeypatch.setattr(triggers, "monotonic", clock)
    return clock


def test_first_run_of_a_timer_is_one_period_after_its_start(clock: Clock) -> None:
    timer = Timer(60)
    last = timer.first()
    clock.now += 59
    assert timer.step(last) == (1000.0, False, (), 1.0)
    clock.now += 1
    assert timer.step(last)[:2] == (1060.0, True)


def test_timer_keeps_its_grid_if_it_is_late(clock: Clock) -> None:
    clock.now = 1060.7
    step = Timer(60).step(1000.0)
    assert step[:2] == (1060.0, True)
    assert Timer(60).step(step.last).wait == pytest.approx(59.3)


def test_several_slots_of_a_timer_are_one_run(clock: Clock) -> None:
    clock.now = 1250.0
    assert Timer(60).step(1000.0)[:2] == (1240.0, True)


@pytest.mark.parametrize("seconds", [0.1, 0.3, 1 / 3, 7.7])
def test_timer_runs_once_in_each_slot(clock: Clock, seconds: float) -> None:
    timer, last, runs = Timer(seconds), 1000.0, 0
    while clock.now < 1000 + 1000.5 * seconds:
        step = timer.step(last)
        last, runs = step.last, runs + step.is_due
        if not step.is_due:
            clock.now += max(min(step.wait, 0.5), 1e-6)
    assert runs == 1000


# Cron expressions


@pytest.fixture
def cron(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that makes the times of an expression, and sets the clock to a time."""
    from gworkers.background import cron_expression

    clock = Clock(0.0)
    monkeypatch.setattr(cron_expression, "time", clock)

    def make(expression: str, zone: str = "UTC") -> cron_expression.CronTimes:
        return cron_expression.CronTimes(cron_expression.Cron(expression, cron_expression.zone_of(zone)))

    make.clock = clock  # type: ignore[attr-defined]
    return make


def at(text: str, zone: str = "UTC", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def runs(cron: Any, times: Any, start: float, end: float, every: float = 300.0) -> list[str]:
    """The times in UTC at which a scheduler that looks so often would start the handler."""
    cron.clock.now, last, found = start, start, []
    while cron.clock.now < end:
        step = times.step(last)
        last = step.last
        if step.is_due:
            found.append(f"{datetime.fromtimestamp(last, timezone.utc):%d %H:%M}")
        else:
            cron.clock.now += max(min(step.wait, every), 0.001)
    return found


def test_cron_runs_at_its_times(cron: Any) -> None:
    times = cron("*/20 * * * *")
    assert runs(cron, times, at("2026-01-01T00:00:00"), at("2026-01-01T01:30:00")) == [
        "01 00:20", "01 00:40", "01 01:00", "01 01:20"]


@pytest.mark.skipif(sys.version_info < (3, 10), reason="cronsim 2.6 for Python 3.9 knows no seconds")
def test_cron_may_have_seconds(cron: Any) -> None:
    cron.clock.now = at("2026-01-01T00:00:00.500")
    assert cron("*/2 * * * * *").step(cron.clock.now).wait == pytest.approx(1.5)


def test_cron_regards_the_time_zone(cron: Any) -> None:
    cron.clock.now = at("2026-01-01T11:00:00")
    step = cron("0 9 * * *", "Asia/Tokyo").step(cron.clock.now)
    assert step.wait == 13 * 3600


def test_time_that_the_clocks_skip_is_not_missed(cron: Any) -> None:
    """In Berlin 02:30 does not exist on 29 March 2026."""
    times = cron("30 2 * * *", "Europe/Berlin")
    assert len(runs(cron, times, at("2026-03-28T12:00:00"), at("2026-03-30T12:00:00"))) == 2


@pytest.mark.parametrize("expression", ["30 2 * * *", "15,30,45 2 * * *"])
def test_time_that_the_clocks_repeat_runs_once(cron: Any, expression: str) -> None:
    """In Berlin 02:30 exists twice on 25 October 2026."""
    times = cron(expression, "Europe/Berlin")
    found = runs(cron, times, at("2026-10-24T12:00:00"), at("2026-10-25T12:00:00"), 60.0)
    assert len(found) == len(expression.partition(" ")[0].split(","))


def test_owner_that_begins_in_the_repeated_hour_repeats_nothing(cron: Any) -> None:
    start = at("2026-10-25T02:40:00", "Europe/Berlin", fold=1)
    times = cron("45 2 * * *", "Europe/Berlin")
    assert runs(cron, times, start, start + 3600, 10.0) == []


def test_missed_times_of_a_cron_expression_are_one_run(cron: Any) -> None:
    cron.clock.now = at("2026-01-01T03:07:00")
    step = cron("*/5 * * * *").step(at("2026-01-01T00:00:00"))
    assert step[:2] == (at("2026-01-01T03:05:00"), True)
    assert not cron("*/5 * * * *").step(step.last).is_due


@pytest.mark.skipif(sys.version_info < (3, 10), reason="cronsim 2.6 for Python 3.9 knows no seconds")
def test_very_many_missed_times_are_one_run(cron: Any) -> None:
    cron.clock.now = at("2026-01-02T00:00:00")
    assert cron("* * * * * *").step(at("2026-01-01T00:00:00"))[:2] == (cron.clock.now, True)


def test_small_step_of_the_clock_back_repeats_nothing(cron: Any) -> None:
    last = at("2026-01-01T03:05:00")
    cron.clock.now = last - 30
    step = cron("*/5 * * * *").step(last)
    assert step[:2] == (last, False)
    assert step.wait == 330


def test_clock_that_is_set_back_starts_again(cron: Any) -> None:
    cron.clock.now = at("2026-01-01T00:02:00")
    step = cron("*/5 * * * *").step(at("2030-01-01T00:00:00"))
    assert step[:2] == (cron.clock.now, False)
    assert step.wait == 180


def test_expression_without_further_times_waits(cron: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    times = cron("* * * * *")
    times._cronsim = type("NoTimes", (), {"CronSim": staticmethod(lambda *arguments: iter(()))})
    assert times.step(0.0).wait == inf


@pytest.mark.parametrize(("variable", "zone"), [
    ("Asia/Tokyo", "Asia/Tokyo"), (":Asia/Tokyo", "Asia/Tokyo"), ("/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo")])
def test_local_time_zone_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str, zone: str) -> None:
    from gworkers.background.cron_expression import zone_of

    monkeypatch.setenv("TZ", variable)
    moment = datetime(2026, 7, 1)
    try:
        found = zone_of(None)
    except ValueError:
        pytest.skip("the system has no time zones in /usr/share/zoneinfo")
    assert found.utcoffset(moment) == ZoneInfo(zone).utcoffset(moment)


def test_local_time_zone_that_is_no_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from gworkers.background.cron_expression import zone_of

    monkeypatch.setenv("TZ", "CET-1CEST")
    with pytest.raises(ValueError, match="the time zone 'CET-1CEST' is unknown"):
        zone_of(None)


def test_local_time_zone_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    from gworkers.background import cron_expression

    monkeypatch.delenv("TZ", raising=False)
    assert cron_expression.zone_of(None) is not None
    monkeypatch.setattr(cron_expression, "LOCAL_ZONE", "/missing")
    assert cron_expression.zone_of(None) is timezone.utc
