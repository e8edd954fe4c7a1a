"""What one of all worker processes does for the others too."""

from __future__ import annotations

import os

from gworkers.one_time_claim import OneTimeClaim


def claims(once: OneTimeClaim, processes: int) -> int:
    """How many of that many processes, all forked before the first one begins, had it to do."""
    reader, writer = os.pipe()
    pids = []
    for _ in range(processes):
        pid = os.fork()
        if pid == 0:
            os.close(writer)
            os.read(reader, 1)  # the end, which comes for all of them at once
            os._exit(once.claim())
        pids.append(pid)
    os.close(reader)
    os.close(writer)
    return sum(os.WEXITSTATUS(os.waitpid(pid, 0)[1]) for pid in pids)


def test_one_of_many() -> None:
    once = OneTimeClaim()
    assert claims(once, 8) == 1
    assert claims(once, 2) == 0
    assert not once.claim()


def test_renewed() -> None:
    once = OneTimeClaim()
    once.renew()
    assert claims(once, 3) == 1
    once.renew()
    assert once.claim()
    assert claims(once, 3) == 0
