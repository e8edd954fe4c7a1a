"""Processes that a request forks. Each has a copy of the worker, but must not act as one."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.client import Client, request
from support.held_request import HeldRequest
from support.load import Load
from support.server import Server
from support.waiting import is_alive, until

pytestmark = [pytest.mark.only(transport="tcp", parser="fast"),
              pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

Start = Callable[..., Server]

#: The ways in which a child exits, and its exit status.
ENDS = {"returns": 0, "leaves": 5, "raises": 1, "process": 0}

CONFIG = ("from os import getpid, write\n"
          "def worker_exit(server, worker):\n    write(2, b'worker_exit in %d\\n' % getpid())\n")


class Child:
    """A request whose handler has forked, and the child, which runs until ``let_go`` is called."""

    def __init__(self, server: Server, directory: Path, kind: str) -> None:
        self._gate = directory / f"gate-{kind}"
        self.client = server.connect()
        self.client.send(request(f"/{kind}?gate={self._gate}"))
        self.said: dict[str, Any] = json.loads(server.wait_for_log(r"^child (\{.*\})$")[1])
        self.pid = self.said["pid"]

    def let_go(self) -> None:
        self._gate.touch()

    def answer(self) -> Any:
        response = self.client.receive()
        assert response.status == 200
        assert not response.closes
        return json.loads(response.body)


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.smoke
def test_parent_responds_and_child_is_no_worker(start: Start, tmp_path: Path, kind: str) -> None:
    server = start("forking:app", config=CONFIG)
    (worker,) = server.worker_pids()
    child = Child(server, tmp_path, kind)
    assert child.said["sockets"] == []
    assert child.said["handlers"] == {**dict.fromkeys(("TERM", "QUIT", "ABRT", "USR1"), "default"),
                                      "INT": "default_int_handler"}
    with Load(server) as load:
        load.goes_on(50)
        child.let_go()
        assert child.answer() == {"pid": worker, "ended": ENDS[kind]}
        load.goes_on()
    assert not load.failures
    assert set(load.pids) == {worker}
    if kind == "raises":
        server.expect_traceback("LookupError: deliberate, in the child")
    # Its connection can still be used.
    assert json.loads(child.client.request().body)["pid"] == worker
    assert server.worker_pids() == [worker]
    assert not server.log(rf"Worker exiting \(pid: {child.pid}\)|worker_exit in {child.pid}")
    assert not server.log("worker_exit in")


@pytest.mark.parametrize("kind", ["returns", "process"])
def test_other_requests_continue_in_the_parent_only(start: Start, tmp_path: Path, kind: str) -> None:
    """Requests that run during the fork are copied into the child, but do not continue there."""
    server = start("forking:app")
    (worker,) = server.worker_pids()
    held = HeldRequest(server, tmp_path, "other").running()
    child = Child(server, tmp_path, kind)
    held.let_go()
    assert held.answer()["pid"] == worker
    assert json.loads(held.client.request().body)["pid"] == worker
    with Load(server) as load:
        load.goes_on()
    assert is_alive(child.pid)
    child.let_go()
    assert child.answer() == {"pid": worker, "ended": 0}
    server.wait_for_log("^child is done$")


@pytest.mark.parametrize("kind", ["returns", "process"])
def test_child_does_not_hold_connections_open(start: Start, tmp_path: Path, kind: str) -> None:
    server = start("forking:app", "--keep-alive", 1)
    idle = server.connect()
    assert idle.request().status == 200
    child = Child(server, tmp_path, kind)
    idle.expect_close()
    assert is_alive(child.pid)
    child.let_go()
    assert child.answer()["ended"] == 0


@pytest.mark.parametrize("kind", ["returns", "process"])
@pytest.mark.sample(1)
def test_child_does_not_accept(start: Start, tmp_path: Path, kind: str) -> None:
    server = start("forking:app", "--timeout", 2)
    (worker,) = server.worker_pids()
    child = Child(server, tmp_path, kind)
    os.kill(worker, signal.SIGSTOP)
    try:
        waiting = server.connect()
        waiting.send(request("/"))
        # The child sends no heartbeat in the place of the worker.
        server.wait_for_log(rf"WORKER TIMEOUT \(pid:{worker}\)")
        waiting.sock.settimeout(0.3)
        with pytest.raises(TimeoutError if sys.version_info >= (3, 10) else OSError):
            waiting.sock.recv(1)
        assert is_alive(child.pid)
    finally:
        child.let_go()
        os.kill(worker, signal.SIGKILL)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    until(lambda: not is_alive(child.pid), "the child has exited")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_signals_end_the_child(start: Start, tmp_path: Path, number: int) -> None:
    server = start("forking:app")
    child = Child(server, tmp_path, "process")
    os.kill(child.pid, number)
    assert child.answer()["ended"] == -number
    assert server.connect().request().status == 200


def test_worker_exits_while_the_child_runs(start: Start, tmp_path: Path) -> None:
    """The request is served to its end, like any other."""
    server = start("forking:app", "--graceful-timeout", 60, config=CONFIG)
    (worker,) = server.worker_pids()
    child = Child(server, tmp_path, "process")
    os.kill(worker, signal.SIGTERM)
    until(lambda: len(server.worker_pids()) == 2, "there is another worker")
    assert is_alive(worker)
    child.let_go()
    response = child.client.receive()
    assert (json.loads(response.body), response.closes) == ({"pid": worker, "ended": 0}, True)
    until(lambda: not is_alive(worker), "the worker has exited")
    assert len(server.log("worker_exit in")) == 1


def test_child_outlives_the_server(start: Start, tmp_path: Path) -> None:
    server = start("forking:app")
    child = Child(server, tmp_path, "returns")
    server.signal(signal.SIGQUIT)
    assert server.process.wait(10) == 0
    # The child does not keep the address in use.
    with pytest.raises(ConnectionError):
        Client.connect(server.address)
    assert is_alive(child.pid)
    child.let_go()
    until(lambda: not is_alive(child.pid), "the child has exited")
