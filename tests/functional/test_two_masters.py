"""USR2 starts a second master: failures of either one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.held_request import HeldRequest
from support.launch import ANNOUNCE
from support.load import Load
from support.masters import LONG, assert_serves, number, second, upgraded
from support.server import Server
from support.waiting import until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


def upgrade(server: Server, pidfile: Path) -> int | None:
    """Ask for another master; returns its process id once there is one."""
    server.signal(signal.SIGUSR2)
    return number(second(pidfile))


@pytest.mark.only(transport="unix")
@pytest.mark.parametrize("error", ["LookupError('deliberate')", "SystemExit('deliberate')"])
@pytest.mark.sample(1)
def test_second_master_that_cannot_start(start: Start, pidfile: Path, tmp_path: Path, error: str) -> None:
    works = tmp_path / "works"
    config = f"import os\ndef pre_exec(server):\n    if not os.path.exists({str(works)!r}):\n        raise {error}\n"
    server = start("probe:app", "--pid", pidfile, config=config)
    (old,) = server.worker_pids()
    held = HeldRequest(server, tmp_path).running()
    with Load(server) as load:
        server.signal(signal.SIGUSR2)
        server.wait_for_log(r"\[ERROR\] The second master could not be started: .*deliberate")
        load.goes_on()
        held.let_go()
        assert held.answer()["pid"] == old
    assert not load.failures
    assert_serves(server, old)
    assert len(server.log(r"\[ERROR\]")) == 1
    assert number(pidfile) == server.pid
    assert not second(pidfile).exists()

    # USR2 works again as soon as the master has reaped the process that failed.
    works.touch()
    new = until(lambda: upgrade(server, pidfile), "the second pidfile", LONG)
    os.kill(new, signal.SIGTERM)
    until_gone(new, limit=LONG)
    assert_serves(server, old)
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert not Path(str(server.address)).exists()
    assert not pidfile.exists()


def test_second_master_reloads(start: Start, pidfile: Path) -> None:
    server = start("probe:app", "--pid", pidfile)
    (old,) = server.worker_pids()
    with Load(server) as load, upgraded(server, pidfile) as new:
        (first,) = set(server.worker_pids()) - {old}
        os.kill(new, signal.SIGHUP)
        until_gone(first, limit=LONG)
        assert (number(pidfile), number(second(pidfile))) == (server.pid, new)
        server.signal(signal.SIGTERM)
        assert server.process.wait(LONG) == 0
        until(lambda: number(pidfile) == new, "the pidfile of the new master")
        assert not second(pidfile).exists()
        load.goes_on()
        assert server.ask()["parent"] == new
        load.__exit__(None, None, None)
    assert not load.failures
    assert not pidfile.exists()


@pytest.mark.parametrize("change", ["none", "reload", "reload without a pidfile"])
@pytest.mark.sample(1)
def test_second_master_takes_the_pidfile_of_a_killed_one(start: Start, pidfile: Path, change: str) -> None:
    """Until it is reaped, its process id still exists, so its pidfile is not replaced."""
    config = f"pidfile = {str(pidfile)!r}\n"
    server = start("probe:app", config=config)
    (old,) = server.worker_pids()
    with upgraded(server, pidfile) as new:
        (first,) = set(server.worker_pids()) - {old}
        server.signal(signal.SIGKILL)
        server.wait_for_log(r"\[WARNING\] The pidfile could not be renamed")
        until_gone(old)
        assert server.ask()["parent"] == new
        if change != "none":
            (server.directory / "gunicorn.conf.py").write_text((config if change == "reload" else "") + ANNOUNCE)
            os.kill(new, signal.SIGHUP)
            until_gone(first, limit=LONG)
        server.process.wait()
        if change == "reload without a pidfile":
            # Another reload shows that the master continues.
            first = server.ask()["pid"]
            os.kill(new, signal.SIGHUP)
            until_gone(first, limit=LONG)
        else:
            until(lambda: number(pidfile) == new, "the pidfile of the new master")
        assert server.ask()["parent"] == new
        assert not second(pidfile).exists()
        assert len(server.log("The pidfile could not be renamed")) == 1
    assert number(pidfile) in (None, server.pid)
