"""A hub outside the package, tests/apps/toy_hub.py: one module and one row in ``HUBS`` are all that a hub needs."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from gworkers.checks import drivers
from support.client import request
from support.held_request import HeldRequest
from support.server import Server
from support.waiting import until

pytestmark = pytest.mark.only(hub="toy", transport="tcp", parser="fast")

Start = Callable[..., Server]


@pytest.mark.smoke
def test_running_request_is_answered_after_term(start: Start, tmp_path: Path) -> None:
    server = start("probe:app", "--keep-alive", 60)
    held = HeldRequest(server, tmp_path).running()
    client = server.connect()
    pids = {json.loads(client.request().body)["pid"] for _ in range(3)}
    server.signal(signal.SIGTERM)
    until(server.refuses, "the listener is closed")
    held.let_go()
    assert {held.answer()["pid"]} == pids
    assert server.wait_for_exit() == 0


def test_large_bodies_wait_for_the_client(start: Start) -> None:
    server = start("probe:app")
    client = server.connect()
    client.send(b"POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhello")
    assert server.connect().request().status == 200
    client.send(b"hello")
    assert client.receive().body == b"10"
    client.send(request("/stream?parts=256"))
    assert server.connect().request().status == 200
    assert len(client.receive().body) == 256 * 65536


def test_deadline_passes_and_heartbeat_continues(start: Start) -> None:
    server = start("probe:app", "--timeout", 2, settings={"head_timeout": 2.5})
    workers = server.worker_pids()
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\n")
    assert client.receive().status == 408
    client.expect_close()
    assert server.connect().request().status == 200
    assert server.worker_pids() == workers


def test_worker_class_with_an_unknown_hub_is_refused(start: Start) -> None:
    config = "import toy_hub\n\nclass worker_class(toy_hub.ToyWorker):\n    hub_name = 'missing'\n"
    server = start("probe:app", config=config, worker_class="from config", ready=False)
    assert server.wait_for_exit() == 1
    assert server.log(r"^Error: the hub 'missing' of the worker class worker_class is unknown: .*\[invalid-setting\]$")


def test_driver_that_blocks_has_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyodbc", ModuleType("pyodbc"))
    # Another test may have imported another driver.
    found = [finding for finding in drivers.check("toy", set()) if "pyodbc" in finding.problem]
    assert [finding.fix for finding in found] == [drivers.OTHER_FIX]
