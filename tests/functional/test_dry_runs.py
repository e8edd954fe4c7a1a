"""Dry runs of a reload that hang, and signals that arrive meanwhile."""

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


class DryRuns:
    """A configuration that hangs while it is loaded, for as long as the test chooses.

    Attributes:
        config: the text of the configuration.
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
        """Reload, and wait for the dry run, which hangs; returns its process id."""
        self.hang()
        server.signal(signal.SIGHUP)
        (dry_run,) = until(lambda: self.begun(server), "a dry run")
        return dry_run

    def let_go(self) -> None:
        self._flag.unlink()

    def begun(self, server: Server) -> list[int]:
        """The processes other than the master that have begun to load the configuration, in order."""
        return [int(line) for line in self._loads.read_text().split() if int(line) != server.pid]


@pytest.fixture
def dry_runs(tmp_path: Path) -> DryRuns:
    return DryRuns(tmp_path)


in_batches = pytest.mark.skipif(
    not hasattr(Arbiter, "wait_for_signals"), reason="Gunicorn 23 handles signals one by one")


@in_batches
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stop_ends_a_dry_run_and_overtakes_reloads(start: Start, dry_runs: DryRuns, number: int) -> None:
    server = start("probe:app", config=dry_runs.config)
    dry_runs.begin(server)
    for _ in range(3):
        server.signal(signal.SIGHUP)
        assert server.connect().request().status == 200
    server.close_clients()
    server.signal(number)
    assert server.wait_for_exit() == 0
    assert len(dry_runs.begun(server)) == 1
    until_gone(*dry_runs.begun(server))


@in_batches
def test_stop_overtakes_a_reload(start: Start, dry_runs: DryRuns) -> None:
    server = start("probe:app", config=dry_runs.config)
    dry_runs.hang()
    for number in (signal.SIGSTOP, signal.SIGHUP, signal.SIGTERM, signal.SIGCONT):
        server.signal(number)
    assert server.wait_for_exit() == 0
    assert not dry_runs.begun(server)


@in_batches
def test_pending_reloads_become_one(start: Start, dry_runs: DryRuns) -> None:
    server = start("probe:app", config=dry_runs.config)
    dry_runs.begin(server)
    for _ in range(3):
        server.signal(signal.SIGHUP)
        assert server.connect().request().status == 200
    # USR1 is handled after them. Its log line shows that they have been handled.
    server.signal(signal.SIGUSR1)
    dry_runs.let_go()
    server.wait_for_log("Handling signal: usr1", LONG)
    assert len(dry_runs.begun(server)) == 2
    assert len(server.log("Handling signal: hup")) == 2


def test_clients_are_refused_when_the_master_is_killed_during_a_dry_run(start: Start, dry_runs: DryRuns) -> None:
    """Otherwise they would wait at a listening socket that only the dry run has."""
    server = start("probe:app", config=dry_runs.config)
    workers = server.worker_pids()
    dry_run = dry_runs.begin(server)
    server.signal(signal.SIGKILL)
    server.process.wait()
    until_gone(*workers)
    assert server.refuses()
    assert is_alive(dry_run)
    os.kill(dry_run, signal.SIGKILL)
    until_gone(dry_run)


@pytest.mark.full
def test_dry_run_without_a_master_ends_after_its_timeout(start: Start, dry_runs: DryRuns) -> None:
    timeout = "import gworkers.master.dry_run\ngworkers.master.dry_run.TIMEOUT = 3\n"
    server = start("probe:app", config=timeout + dry_runs.config)
    dry_run = dry_runs.begin(server)
    server.signal(signal.SIGKILL)
    until_gone(dry_run)
