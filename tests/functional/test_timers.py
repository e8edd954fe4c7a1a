"""Timers of the application: in one worker, in every worker, or in worker number N."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

import pytest

from support.deployment import Deployment
from support.server import Server
from support.waiting import until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

#: A timer that writes a line with the worker's number, its process id and the time.
TIMER = """
from gworkers import background

@background.timer({seconds}, {arguments})
def tick():
    say(f"tick {{os.environ['GWORKERS_NUMBER']}} {{os.getpid()}} {{time.monotonic()}}")
"""


def timer(seconds: float = 0.25, arguments: str = "") -> str:
    return TIMER.format(seconds=seconds, arguments=arguments)


def ticks(server: Server) -> list[tuple[int, int, float]]:
    """Number, process id and time of each tick so far."""
    found = [re.fullmatch(r"tick (\d+) (\d+) ([\d.]+)", line) for line in server.log("^tick ")]
    return [(int(each[1]), int(each[2]), float(each[3])) for each in found if each]


def wait_for_ticks(server: Server, count: int) -> list[tuple[int, int, float]]:
    server.wait_for_log("^tick ", count=count)
    return ticks(server)


@pytest.mark.smoke
def test_timer_runs_in_one_worker(start: Start, deployment: Deployment) -> None:
    deployment.release(timer())
    server = start("deployed:app", *deployment.options, workers=2)
    assert len({pid for _, pid, _ in wait_for_ticks(server, 4)}) == 1


@pytest.mark.full
def test_timer_runs_in_every_worker(start: Start, deployment: Deployment) -> None:
    deployment.release(timer(0.1, "worker='every'"))
    server = start("deployed:app", *deployment.options, workers=2)
    workers = server.worker_pids()
    for pid in workers:
        server.wait_for_log(rf"^tick \d+ {pid} ", count=2)


@pytest.mark.full
def test_timer_runs_in_worker_number_2(start: Start, deployment: Deployment) -> None:
    deployment.release(timer(0.1, "worker=2"))
    server = start("deployed:app", *deployment.options, workers=2)
    assert {number for number, _, _ in wait_for_ticks(server, 4)} == {2}


def test_another_worker_takes_over_when_the_owner_is_killed(start: Start, deployment: Deployment) -> None:
    deployment.release(timer())
    server = start("deployed:app", *deployment.options, workers=2)
    owner, last = wait_for_ticks(server, 2)[-1][1:]
    os.kill(owner, signal.SIGKILL)
    server.wait_for_log(rf"^tick \d+ (?!{owner} )")
    new = next(each for each in ticks(server) if each[1] != owner)
    last = max(time for _, pid, time in ticks(server) if pid == owner)
    assert new[2] - last < 0.25 + 2


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.sample(1)
def test_reload_neither_misses_nor_doubles_a_run(start: Start, deployment: Deployment, workers: int) -> None:
    deployment.release(timer(0.5))
    server = start("deployed:app", *deployment.options, workers=workers)
    old = server.worker_pids()
    wait_for_ticks(server, 1)
    server.signal(signal.SIGHUP)
    until_gone(*old)
    wait_for_ticks(server, len(ticks(server)) + 2)
    times = [time for _, _, time in ticks(server)]
    slots = [round((time - times[0]) / 0.5) for time in times]
    assert slots == list(range(len(slots)))
    assert len({pid for _, pid, _ in ticks(server)}) >= 2


@pytest.mark.full
def test_handler_of_a_worker_that_does_not_exist_is_reported(start: Start, deployment: Deployment) -> None:
    deployment.release(timer(0.1, "worker=3"))
    server = start("deployed:app", *deployment.options, workers=2)
    server.wait_for_log(r"\[WARNING\] Background handler deployed:tick is for worker number 3, but the number of "
                        r"workers is 2\. It does not run\. ")
