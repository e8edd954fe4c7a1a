"""A fork that fails does not stop the server."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.load import Load
from support.masters import FAILED, LONG, assert_serves, renewed, upgraded
from support.server import Server

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


class Forks:
    """Whether the next forks of the master fail. All later ones work.

    Attributes:
        config: the text of a configuration.
    """

    def __init__(self, plan: Path) -> None:
        self._plan = plan
        self.config = f"""
import errno, os
from pathlib import Path

def when_ready(server):
    fork, plan = os.fork, Path({str(plan)!r})
    def planned():
        left = plan.read_text().split()
        plan.write_text(" ".join(left[1:]))
        if left[:1] == ["fails"]:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()
    os.fork = planned
"""
        self.plan("")

    def plan(self, plan: str) -> None:
        """Set one word for each of the next forks: ``works`` or ``fails``."""
        self._plan.write_text(plan)


@pytest.fixture
def forks(tmp_path: Path) -> Forks:
    return Forks(tmp_path / "plan")


COULD_NOT = r"\[ERROR\] A worker could not be forked: \[Errno"


def test_fork_of_the_first_worker_is_retried(start: Start, forks: Forks) -> None:
    forks.plan("fails")
    server = start("probe:app", config=forks.config)
    assert len(server.log(COULD_NOT)) == 1
    assert_serves(server, *server.worker_pids())


@pytest.mark.parametrize(("plan", "said", "workers"), [
    ("fails", r"\[ERROR\] Reload refused: the process for the dry run could not be forked: ", 0),
    ("works fails", FAILED, 1),
], ids=["dry run", "worker"])
@pytest.mark.smoke
@pytest.mark.sample(1)
def test_reload_that_cannot_fork(start: Start, forks: Forks, plan: str, said: str, workers: int) -> None:
    server = start("probe:app", config=forks.config)
    (old,) = server.worker_pids()
    with Load(server) as load:
        forks.plan(plan)
        server.signal(signal.SIGHUP)
        server.wait_for_log(said)
        assert len(server.log(COULD_NOT)) == workers
        load.goes_on()
        assert_serves(server, old)
        server.signal(signal.SIGHUP)
        renewed(server, old)
    assert not load.failures


@pytest.mark.full
def test_fork_of_a_successor_is_retried(start: Start, forks: Forks) -> None:
    server = start("probe:app", config=forks.config, workers=2)
    killed, staying = server.worker_pids()
    forks.plan("fails fails")
    os.kill(killed, signal.SIGKILL)
    server.wait_for_log(COULD_NOT)
    assert_serves(server, staying)
    server.wait_for_log(r"^worker \d+ is ready$", LONG, count=3)
    assert len(server.log(COULD_NOT)) == 2
    assert_serves(server, *server.worker_pids())


def test_fork_of_a_second_master_that_fails(start: Start, forks: Forks, pidfile: Path) -> None:
    server = start("probe:app", "--pid", pidfile, config=forks.config)
    (old,) = server.worker_pids()
    forks.plan("fails")
    server.signal(signal.SIGUSR2)
    server.wait_for_log(r"\[ERROR\] The second master could not be started: ")
    assert_serves(server, old)
    with upgraded(server, pidfile) as new:
        assert new != server.pid
