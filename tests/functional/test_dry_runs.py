"""Rehearsals of a reload that do not end, and the signals that come meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from gunicorn.arbiter import Arbiter

from support.masters import LONG
from support.server import Server
from support.waiting import is_alive, until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


class Rehearsals:
    """A configuration that does not end loading while the test says so.

    Attributes:
        config: its text.
    """

    def __init__(self, directory: Path) -> None:
        self._flag, self._loads = directory / "hang", directory / "loads"
        self.config = f"""
import os, time
with open({str(self._loads)!r}, "a") as loads:
    loads.write(f"{{os.getpid()}}\\n")
while os.path.exists({str(self._flag)!r}):
    time.sleep(0.01)
"""

    def hang(self) -> None:
        self._flag.touch()

    def begin(self, server: Server) -> int:
        """Reload, and wait for the rehearsal, which hangs; returns its process."""
        self.hang()
        server.signal(signal.SIGHUP)
        (rehearsal,) = until(lambda: self.begun(server), "a rehearsal")
        return rehearsal

    def let_go(self) -> None:
        self._flag.unlink()

    def begun(self, server: Server) -> list[int]:
        """The processes, besides the master, that have begun to load it, in order."""
        return [int(line) for line in self._loads.read_text().split() if int(line) != server.pid]


@pytest.fixture
def rehearsals(tmp_path: Path) -> Rehearsals:
    return Rehearsals(tmp_path)


in_batches = pytest.mark.skipif(not hasattr(Arbiter, "wait_for_signals"), reason="this Gunicorn takes one by one")


@in_batches
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stop_behind_reloads(start: Start, rehearsals: Rehearsals, number: int) -> None:
    server = start("probe:app", config=rehearsals.config)
    rehearsals.begin(server)
    for _ in range(3):
        server.signal(signal.SIGHUP)
        assert server.connect().request().status == 200
    server.close_clients()
    server.signal(number)
    assert server.wait_for_exit() == 0
    assert len(rehearsals.begun(server)) == 1
    until_gone(*rehearsals.begun(server))


@in_batches
def test_stop_that_comes_with_a_reload(start: Start, rehearsals: Rehearsals) -> None:
    server = start("probe:app", config=rehearsals.config)
    rehearsals.hang()
    for number in (signal.SIGSTOP, signal.SIGHUP, signal.SIGTERM, signal.SIGCONT):
        server.signal(number)
    assert server.wait_for_exit() == 0
    assert not rehearsals.begun(server)


@in_batches
def test_reloads_that_wait_are_one(start: Start, rehearsals: Rehearsals) -> None:
    server = start("probe:app", config=rehearsals.config)
    rehearsals.begin(server)
    for _ in range(3):
        server.signal(signal.SIGHUP)
        assert server.connect().request().status == 200
    # Handled after them, so that it is known when they have been.
    server.signal(signal.SIGUSR1)
    rehearsals.let_go()
    server.wait_for_log("Handling signal: usr1", LONG)
    assert len(rehearsals.begun(server)) == 2
    assert len(server.log("Handling signal: hup")) == 2


def test_master_that_is_killed_while_a_rehearsal_hangs(start: Start, rehearsals: Rehearsals) -> None:
    """Whoever connects is to be refused, rather than to wait for somebody who never comes."""
    server = start("probe:app", config=rehearsals.config)
    workers = server.worker_pids()
    rehearsal = rehearsals.begin(server)
    server.signal(signal.SIGKILL)
    server.process.wait()
    until_gone(*workers)
    assert server.refuses()
    assert is_alive(rehearsal)
    os.kill(rehearsal, signal.SIGKILL)
    until_gone(rehearsal)


def test_rehearsal_that_nobody_waits_for(start: Start, rehearsals: Rehearsals) -> None:
    patience = "import gworkers.master.dry_run\ngworkers.master.dry_run.TIMEOUT = 3\n"
    server = start("probe:app", config=patience + rehearsals.config)
    rehearsal = rehearsals.begin(server)
    server.signal(signal.SIGKILL)
    until_gone(rehearsal)
