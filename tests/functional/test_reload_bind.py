"""Addresses that a reload adds or removes, or that it cannot bind."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from support.client import Client
from support.deployment import Deployment
from support.load import Load
from support.server import Server
from support.waiting import is_alive, until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

KEPT = "127.0.0.1:0"

#: Seconds for a reload in which Gunicorn tries five times, with pauses, to bind an address.
LONG = 30.0


class Bound:
    """A server whose configuration names its addresses."""

    def __init__(self, start: Start, deployment: Deployment, *bind: str) -> None:
        self.server = start("deployed:app", *deployment.options, bind=["from config"], config=self._line(bind))
        self._file = self.server.directory / "gunicorn.conf.py"
        self._rest = self._file.read_text().partition("\n")[2]

    @staticmethod
    def _line(bind: tuple[str, ...]) -> str:
        return f"bind = {list(bind)!r}\n"

    def reload(self, *bind: str) -> None:
        self._file.write_text(self._line(bind) + self._rest)
        self.server.signal(signal.SIGHUP)


def answers(address: tuple[str, int] | str) -> bool:
    try:
        client = Client.connect(address)
    except (ConnectionError, FileNotFoundError):
        return False
    try:
        return client.request().status == 200
    finally:
        client.close()


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A path that is short enough for a Unix socket."""
    return str(tmp_path_factory.mktemp("s") / "listener")


def test_reload_adds_an_address(start: Start, deployment: Deployment, place: str) -> None:
    bound = Bound(start, deployment, KEPT)
    (old,) = bound.server.worker_pids()
    with Load(bound.server) as load:
        bound.reload(KEPT, f"unix:{place}")
        until(lambda: not is_alive(old), "the end of the old worker", LONG)
        until(lambda: answers(place), "an answer at the new address")
        load.goes_on()
    assert not load.failures


def test_reload_removes_an_address(start: Start, deployment: Deployment, place: str) -> None:
    bound = Bound(start, deployment, KEPT, f"unix:{place}")
    (old,) = bound.server.worker_pids()
    assert answers(place)
    with Load(bound.server) as load:
        bound.reload(KEPT)
        until(lambda: not is_alive(old), "the end of the old worker", LONG)
        load.goes_on()
        assert not answers(place)
    assert not load.failures


def test_reload_changes_the_address(start: Start, deployment: Deployment, place: str) -> None:
    """The old address is served until a worker accepts at the new one."""
    bound = Bound(start, deployment, KEPT)
    (old,) = bound.server.worker_pids()
    deployment.hold()
    bound.reload(f"unix:{place}")
    (new,) = deployment.booting(1, but={old})
    assert answers(bound.server.address)
    deployment.let_go()
    until(lambda: not is_alive(old), "the end of the old worker", LONG)
    assert answers(place)
    assert not answers(bound.server.address)
    assert bound.server.worker_pids() == [new]


def test_reload_with_an_invalid_port_is_refused(start: Start, deployment: Deployment) -> None:
    bound = Bound(start, deployment, KEPT)
    workers = bound.server.worker_pids()
    bound.reload(KEPT, "127.0.0.1:99999")
    bound.server.wait_for_log(r"\[ERROR\] bind has port 99999: .* \[invalid-setting\]$")
    bound.server.wait_for_log(r"\[ERROR\] Reload refused")
    assert bound.server.connect().request().status == 200
    assert bound.server.worker_pids() == workers


def test_reload_with_an_address_in_use_is_refused(start: Start, deployment: Deployment) -> None:
    bound = Bound(start, deployment, KEPT)
    old = bound.server.worker_pids()
    with socket.create_server(("127.0.0.1", 0)) as taken, Load(bound.server) as load:
        bound.reload(KEPT, f"127.0.0.1:{taken.getsockname()[1]}")
        bound.server.wait_for_log(r"\[ERROR\] Reload refused", LONG)
        load.goes_on()
        assert bound.server.worker_pids() == old
    bound.reload(KEPT)
    until(lambda: not is_alive(*old), "the end of the old worker", LONG)
    assert answers(bound.server.address)
    assert not load.failures


def test_failed_reload_restores_the_addresses(start: Start, deployment: Deployment, place: str, tmp_path: Path) -> None:
    second = f"{place}.2"
    bound = Bound(start, deployment, KEPT, f"unix:{place}")
    old = bound.server.worker_pids()
    deployment.release("raise LookupError('deliberate')\n")
    with Load(bound.server) as load:
        bound.reload(KEPT, f"unix:{second}")
        bound.server.wait_for_log("Reload failed", LONG)
        bound.server.expect_traceback("LookupError: deliberate")
        load.goes_on()
        assert answers(place)
        assert not answers(second)
        assert not Path(second).exists()
        assert bound.server.worker_pids() == old

        deployment.release()
        bound.reload(KEPT, f"unix:{second}")
        until(lambda: not is_alive(*old), "the end of the old worker", LONG)
        until(lambda: answers(second), "an answer at the new address")
        assert not answers(place)
        load.goes_on()
    assert not load.failures


def test_two_failed_reloads_restore_the_addresses(start: Start, deployment: Deployment, place: str) -> None:
    """The addresses of the first reload were never served."""
    second, third = f"{place}.2", f"{place}.3"
    bound = Bound(start, deployment, KEPT, f"unix:{place}")
    (old,) = bound.server.worker_pids()
    deployment.hold()
    bound.reload(KEPT, f"unix:{second}")
    (superseded,) = deployment.booting(1, but={old})
    deployment.release("raise LookupError('deliberate')\n")
    bound.reload(KEPT, f"unix:{third}")
    deployment.booting(1, but={old, superseded})
    deployment.let_go()
    bound.server.wait_for_log("Reload failed", LONG)
    bound.server.expect_traceback("LookupError: deliberate")
    deployment.release()
    bound.server.signal(signal.SIGTTIN)
    until(lambda: len(bound.server.worker_pids()) == 2, "another worker of the old generation", LONG)
    (new,) = set(bound.server.worker_pids()) - {old}
    os.kill(old, signal.SIGKILL)
    until(lambda: not is_alive(old), "the end of the old worker")
    assert answers(place)
    assert answers(bound.server.address)
    assert not answers(second)
    assert not answers(third)
    assert is_alive(new)
