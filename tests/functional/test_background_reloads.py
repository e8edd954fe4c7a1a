"""Timers and cron expressions while workers are replaced: no run is missed, none is doubled.

The long tests need a machine on which a worker is not delayed by most of a second.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from support.deployment import Deployment
from support.masters import upgraded
from support.server import Server
from support.waiting import until, until_gone

pytestmark = [pytest.mark.only(transport="tcp", parser="fast"),
              pytest.mark.skipif(sys.version_info < (3, 10), reason="cronsim 2.6 for Python 3.9 knows no seconds")]

Start = Callable[..., Server]

#: Each handler writes its name, its worker, the time, and the time of the slot that it runs for.
HANDLERS = """
from gworkers import background
from gworkers.background.current import CURRENT_WORKER

def report(name):
    slot = CURRENT_WORKER.scheduler._jobs[f"deployed:{name}"]._entry.last
    say(f"{name} {os.getpid()} {time.monotonic()} {slot}")

@background.timer(1)
def timer():
    report("timer")

@background.timer(1, worker=2)
def second():
    report("second")

@background.cron("* * * * * *")
def cron():
    report("cron")

@background.cron("*/2 * * * * *", worker=1)
def even():
    report("even")
"""
PERIODS = {"timer": 1, "second": 1, "cron": 1, "even": 2}


def runs(server: Server, name: str) -> list[tuple[int, float, float]]:
    """Process id, time and slot of each run of a handler."""
    found = [re.fullmatch(rf"{name} (\d+) ([\d.]+) ([\d.]+)", line) for line in server.log(f"^{name} ")]
    return [(int(each[1]), float(each[2]), float(each[3])) for each in found if each]


def slots(server: Server, name: str) -> list[int]:
    """The numbers of the slots of a handler, counted from the first run."""
    found = [slot for _, _, slot in runs(server, name)]
    return [round((slot - found[0]) / PERIODS[name]) for slot in found]


def assert_complete(server: Server, seconds: float, names: Iterable[str] = PERIODS) -> None:
    """Each slot has one run, in each handler."""
    for name in names:
        found = slots(server, name)
        assert found == list(range(len(found))), (name, found, server.log(""))
        assert len(found) >= seconds / PERIODS[name] - 1, name


def is_past(moment: float) -> bool:
    return time.monotonic() >= moment


def has_workers(server: Server, count: int) -> bool:
    return len(server.worker_pids()) == count


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.every_hub
def test_reload_every_2_seconds_for_a_minute(start: Start, deployment: Deployment) -> None:
    deployment.release(HANDLERS)
    server = start("deployed:app", *deployment.options, workers=2)
    server.wait_for_log("^even ")
    began = time.monotonic()
    reloads = 0
    while time.monotonic() < began + 60:
        server.signal(signal.SIGHUP)
        reloads += 1
        until(partial(is_past, began + 2 * reloads), "the time of the next reload")
    server.wait_for_log("^even ", count=len(runs(server, "even")) + 1)
    assert_complete(server, 60)
    assert len(deployment.boots()) >= 20


def first_run_elsewhere(server: Server, owner: int, killed: float) -> float:
    """Wait for a run of the timer in another process than its previous owner, and return its time."""
    return until(lambda: [time for pid, time, _ in runs(server, "timer") if pid != owner and time > killed],
                 "a run in another worker")[0]


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.every_hub
def test_killed_owners_for_20_seconds(start: Start, deployment: Deployment) -> None:
    """The next run is within the period plus two seconds. Runs that were missed in the gap are one run."""
    deployment.release(HANDLERS)
    server = start("deployed:app", *deployment.options, workers=2)
    began = time.monotonic()
    while time.monotonic() < began + 20:
        server.wait_for_log("^timer ", count=len(runs(server, "timer")) + 1)
        owner = runs(server, "timer")[-1][0]
        killed = time.monotonic()
        os.kill(owner, signal.SIGKILL)
        assert first_run_elsewhere(server, owner, killed) - killed < 1 + 2
    for name in PERIODS:
        found = slots(server, name)
        assert len(set(found)) == len(found), (name, found)


@pytest.mark.full
@pytest.mark.slow
def test_second_master_continues(start: Start, deployment: Deployment, pidfile: Path) -> None:
    deployment.release(HANDLERS)
    server = start("deployed:app", *deployment.options, "--pid", pidfile, workers=2)
    server.wait_for_log("^even ")
    old = server.worker_pids()
    with upgraded(server, pidfile):
        until(lambda: len(server.worker_pids()) == 4, "the workers of both masters")
        server.wait_for_log("^even ", count=len(runs(server, "even")) + 2)
        server.signal(signal.SIGTERM)
        until_gone(*old)
        server.wait_for_log("^even ", count=len(runs(server, "even")) + 2)
        assert_complete(server, 4)


@pytest.mark.full
@pytest.mark.slow
def test_recycling_by_max_requests(start: Start, deployment: Deployment) -> None:
    deployment.release(HANDLERS)
    server = start("deployed:app", *deployment.options, "--max-requests", 20, workers=2)
    server.wait_for_log("^even ")
    began = time.monotonic()
    while time.monotonic() < began + 6:
        server.ask()
    server.wait_for_log("^even ", count=len(runs(server, "even")) + 1)
    assert_complete(server, 6)
    assert len(deployment.boots()) > 4


@pytest.mark.full
@pytest.mark.slow
def test_number_of_workers_changes(start: Start, deployment: Deployment) -> None:
    deployment.release(HANDLERS)
    server = start("deployed:app", *deployment.options, workers=2)
    server.wait_for_log("^even ")
    for number, workers in ((signal.SIGTTIN, 3), (signal.SIGTTOU, 2)) * 2:
        server.signal(number)
        until(partial(has_workers, server, workers), f"{workers} workers")
        server.wait_for_log("^timer ", count=len(runs(server, "timer")) + 1)
    assert_complete(server, 4, ("timer", "cron"))
