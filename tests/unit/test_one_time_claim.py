"""A claim that one of several processes gets."""

from __future__ import annotations

import os

from gworkers.one_time_claim import OneTimeClaim


def claims(task: OneTimeClaim, processes: int) -> int:
    """How many of these processes get the claim. All are forked before the first one tries."""
    reader, writer = os.pipe()
    pids = []
    for _ in range(processes):
        pid = os.fork()
        if pid == 0:
            os.close(writer)
            os.read(reader, 1)  # the end of the stream, for all of them at once
            os._exit(task.claim())
        pids.append(pid)
    os.close(reader)
    os.close(writer)
    return sum(os.WEXITSTATUS(os.waitpid(pid, 0)[1]) for pid in pids)


def test_one_of_many_processes_gets_the_claim() -> None:
    task = OneTimeClaim()
    assert claims(task, 8) == 1
    assert claims(task, 2) == 0
    assert not task.claim()


def test_renewed_claim_is_available_once_more() -> None:
    task = OneTimeClaim()
    task.renew()
    assert claims(task, 3) == 1
    task.renew()
    assert task.claim()
    assert claims(task, 3) == 0
