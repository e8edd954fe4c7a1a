"""The numbers of workers: in their environment when the application is imported, and in hooks."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from support.deployment import Deployment
from support.load import Load
from support.server import Server
from support.waiting import is_alive, until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

#: Says the worker's numbers when it is imported.
SAYS = """
say(f"import {os.getpid()} {os.environ['GWORKERS_NUMBER']} {os.environ['GWORKERS_SLOT']}")
"""
HOOK = """
import os
def post_fork(server, worker):
    os.write(1, f"fork {worker.pid} {worker.number} {worker.slot}\\n".encode())
"""


def said(server: Server, kind: str = "import") -> dict[int, tuple[int, int]]:
    """The number and the slot of each worker that has said them, by process id."""
    found = {}
    for line in server.log(rf"^{kind} \d+ \d+ \d+$"):
        pid, number, slot = map(int, line.split()[1:])
        found[pid] = number, slot
    return found


@pytest.mark.smoke
def test_workers_are_numbered(start: Start, deployment: Deployment) -> None:
    deployment.release(SAYS)
    server = start("deployed:app", *deployment.options, workers=3, config=HOOK)
    workers = said(server)
    assert sorted(workers.values()) == [(1, 1), (2, 2), (3, 3)]
    assert said(server, "fork") == workers


def test_reload_numbers_the_new_workers_from_one(start: Start, deployment: Deployment) -> None:
    deployment.release(SAYS)
    server = start("deployed:app", *deployment.options, workers=3)
    before = server.worker_pids()
    server.signal(signal.SIGHUP)
    until_gone(*before)
    new = {pid: numbers for pid, numbers in said(server).items() if pid not in before}
    assert sorted(number for number, _ in new.values()) == [1, 2, 3]
    # While both generations run, no two of the processes have the same slot.
    assert {slot for _, slot in new.values()} == {4, 5, 6}
    server.signal(signal.SIGHUP)
    until_gone(*new)
    assert sorted(slot for pid, (_, slot) in said(server).items() if pid not in {*before, *new}) == [1, 2, 3]


def test_successor_gets_the_number_of_the_recycled_worker(start: Start, deployment: Deployment) -> None:
    deployment.release(SAYS)
    server = start("deployed:app", *deployment.options, "--max-requests", 50, workers=2)
    first = set(server.worker_pids())
    with Load(server) as load:
        until(lambda: not any(map(is_alive, first)), "the end of the first workers")
    assert not load.failures
    numbers = Counter(number for number, _ in said(server).values())
    assert set(numbers) == {1, 2}
    assert min(numbers.values()) >= 2
    assert max(slot for _, slot in said(server).values()) <= 4


def test_successor_of_a_killed_worker_gets_its_number_and_slot(start: Start, deployment: Deployment) -> None:
    deployment.release(SAYS)
    server = start("deployed:app", *deployment.options, workers=3)
    workers = said(server)
    (killed,) = (pid for pid, (number, _) in workers.items() if number == 2)
    os.kill(killed, signal.SIGKILL)
    until(lambda: len(said(server)) == 4, "a successor")
    (new,) = (pid for pid in said(server) if pid not in workers)
    assert said(server)[new] == (2, 2)


def test_variables_from_outside_are_ignored(start: Start) -> None:
    server = start("probe:app", env={"GWORKERS_NUMBER": "7", "GWORKERS_SLOT": "nonsense"})
    assert json.loads(server.connect().request("/variable?name=GWORKERS_NUMBER").body) == "1"
    assert json.loads(server.connect().request("/variable?name=GWORKERS_SLOT").body) == "1"
