"""Pidfiles and socket files that were removed, or that cannot be created."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.deployment import Deployment
from support.held_request import HeldRequest
from support.load import Load
from support.masters import FAILED, assert_serves, number, reconfigure, renewed
from support.server import Server
from support.waiting import is_alive

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


def test_reload_after_the_directory_of_the_pidfile_was_removed(start: Start, pidfile: Path) -> None:
    server = start("probe:app", "--pid", pidfile)
    (old,) = server.worker_pids()
    pidfile.unlink()
    pidfile.parent.rmdir()
    with Load(server) as load:
        server.signal(signal.SIGHUP)
        renewed(server, old)
        load.goes_on()
    assert not load.failures
    assert not server.log(r"\[ERROR\]")
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0


@pytest.mark.parametrize("place", ["nowhere/pid", "file/pid", "taken"])
@pytest.mark.sample(1)
def test_reload_keeps_a_pidfile_it_cannot_replace(start: Start, pidfile: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken").write_text(f"{os.getpid()}\n")
    server = start("probe:app", config=f"pidfile = {str(pidfile)!r}\n")
    (old,) = server.worker_pids()
    reconfigure(server, f"pidfile = {str(tmp_path / place)!r}\n")
    server.wait_for_log(r"\[ERROR\] The pidfile could not be created: ")
    new = renewed(server, old)
    assert number(pidfile) == server.pid
    assert number(tmp_path / "taken") == os.getpid()

    # Later reloads change it.
    third = tmp_path / "the third"
    reconfigure(server, f"pidfile = {str(third)!r}\n")
    newer = renewed(server, new)
    assert (number(pidfile), number(third)) == (None, server.pid)
    reconfigure(server, "")
    renewed(server, newer)
    assert number(third) is None
    assert len(server.log(r"\[ERROR\]")) == 1


@pytest.mark.only(transport="unix")
def test_stop_after_the_socket_file_was_removed(start: Start, tmp_path: Path) -> None:
    config = "from os import write\ndef on_exit(server):\n    write(2, b'on_exit is called\\n')\n"
    server = start("probe:app", config=config)
    (worker,) = server.worker_pids()
    held = HeldRequest(server, tmp_path).running()
    Path(str(server.address)).unlink()
    server.signal(signal.SIGTERM)
    held.let_go()
    assert held.answer()["pid"] == worker
    assert server.wait_for_exit() == 0
    assert server.log("^on_exit is called$")
    assert not is_alive(worker)


@pytest.fixture
def listeners(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two paths that are short enough for Unix sockets."""
    directory = tmp_path_factory.mktemp("s")
    return directory / "before", directory / "after"


def test_failed_reload_after_the_new_file_was_removed(start: Start, deployment: Deployment,
                                                      listeners: tuple[Path, Path]) -> None:
    before, after = listeners
    server = start("deployed:app", *deployment.options, bind=["from config"], config=f"bind = 'unix:{before}'\n")
    (old,) = server.worker_pids()
    deployment.release("sys.exit(1)\n")
    deployment.hold()
    reconfigure(server, f"bind = 'unix:{after}'\n")
    deployment.booting(1, but={old})
    after.unlink()
    deployment.let_go()
    server.wait_for_log(FAILED)
    assert_serves(server, old)
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert not before.exists()


def test_reload_after_the_old_file_was_removed(start: Start, deployment: Deployment,
                                               listeners: tuple[Path, Path]) -> None:
    before, after = listeners
    server = start("deployed:app", *deployment.options, bind=["from config"], config=f"bind = 'unix:{before}'\n")
    (old,) = server.worker_pids()
    deployment.hold()
    reconfigure(server, f"bind = 'unix:{after}'\n")
    deployment.booting(1, but={old})
    before.unlink()
    deployment.let_go()
    server.addresses = [str(after)]
    renewed(server, old)
