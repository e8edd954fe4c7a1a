"""Idle connections during a drain (``drain_keepalive``), and a listener that stays open (``drain_delay``)."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.held_request import HeldRequest
from support.load import Load
from support.server import Server
from support.waiting import is_alive, until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

#: Seconds, far below the timeouts that must not be waited for.
PROMPT = 15.0


@pytest.mark.smoke
def test_idle_connection_gets_a_last_request(start: Start) -> None:
    server = start("probe:app", "--keep-alive", 60, "--graceful-timeout", 60, settings={"drain_keepalive": 60})
    clients = [server.connect() for _ in range(3)]
    pids = {json.loads(client.request().body)["pid"] for client in clients}
    server.signal(signal.SIGTERM)
    until(lambda: server.refuses(), "the listener is closed")
    for client in clients:
        # The worker waits as long as one of the connections is open.
        assert all(map(is_alive, pids))
        response = client.request()
        assert (response.status, response.closes) == (200, True)
        client.expect_close()
    ended = time.monotonic()
    assert server.wait_for_exit() == 0
    assert time.monotonic() - ended < PROMPT


def test_new_connection_gets_a_first_request(start: Start) -> None:
    server = start("probe:app", "--graceful-timeout", 60, settings={"drain_keepalive": 60})
    silent = server.connect()
    with Load(server) as load:
        # Connections are accepted in order, so it has been accepted when later ones are served.
        load.goes_on()
    server.signal(signal.SIGTERM)
    until(lambda: server.refuses(), "the listener is closed")
    response = silent.request()
    assert (response.status, response.closes) == (200, True)
    silent.expect_close()
    assert server.wait_for_exit() == 0


@pytest.mark.parametrize("asked", [True, False], ids=["kept alive", "new"])
def test_connection_without_a_last_request_is_closed(start: Start, asked: bool) -> None:
    server = start("probe:app", "--keep-alive", 60, "--graceful-timeout", 60, settings={"drain_keepalive": 1})
    client = server.connect()
    # Connections are accepted in order, so the first one has been accepted when the second one is served.
    assert server.connect().request("/variable?name=A", headers=["Connection: close"]).closes
    if asked:
        assert client.request().status == 200
    signalled = time.monotonic()
    server.signal(signal.SIGTERM)
    client.expect_close()
    assert 0.8 < time.monotonic() - signalled < PROMPT
    assert server.wait_for_exit() == 0


def test_default_of_drain_keepalive(start: Start) -> None:
    server = start("probe:app", "--keep-alive", 60, "--graceful-timeout", 60)
    client = server.connect()
    assert client.request().status == 200
    signalled = time.monotonic()
    server.signal(signal.SIGTERM)
    client.expect_close()
    assert 1.5 < time.monotonic() - signalled < PROMPT
    assert server.wait_for_exit() == 0


def test_connection_of_a_worker_that_is_replaced(start: Start) -> None:
    server = start("probe:app", "--keep-alive", 60, settings={"drain_keepalive": 60})
    (old,) = server.worker_pids()
    client, other = server.connect(), server.connect()
    assert client.request().closes is False
    server.signal(signal.SIGHUP)
    until(lambda: other.request().closes, "the old worker drains")
    response = client.request()
    assert (json.loads(response.body)["pid"], response.closes) == (old, True)
    until(lambda: not is_alive(old), "the old worker has exited")


def test_drain_keepalive_ends_with_graceful_timeout(start: Start) -> None:
    server = start("probe:app", "--keep-alive", 60, "--graceful-timeout", 1, settings={"drain_keepalive": 60})
    client = server.connect()
    assert client.request().status == 200
    server.signal(signal.SIGTERM)
    client.expect_close()
    assert server.wait_for_exit() == 0
    # There was no request to abort.
    assert not server.log("graceful timeout")


# drain_delay


def test_listener_stays_open_during_the_delay(start: Start, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    server = start("probe:app", "--graceful-timeout", 60,
                   settings={"drain_delay": 3, "readiness_file": ready})
    (worker,) = server.worker_pids()
    until(ready.exists, "the readiness file")
    signalled = time.monotonic()
    server.signal(signal.SIGTERM)
    until(lambda: not ready.exists(), "the readiness file is gone")
    with Load(server) as load:
        load.goes_on()
        assert time.monotonic() - signalled < 3 or load.failures
    until(lambda: server.refuses(), "the listener is closed")
    assert time.monotonic() - signalled > 2.5
    assert not load.failures
    assert set(load.pids) == {worker}
    assert server.wait_for_exit() == 0


def test_keepalive_during_the_delay(start: Start) -> None:
    server = start("probe:app", "--keep-alive", 60, "--graceful-timeout", 60, settings={"drain_delay": 3})
    client = server.connect()
    assert client.request().closes is False
    server.signal(signal.SIGTERM)
    server.wait_for_log("Handling signal: term")
    assert client.request().closes is False
    until(lambda: server.refuses(), "the listener is closed")
    assert client.request().closes is True
    assert server.wait_for_exit() == 0


def test_no_delay_in_a_reload(start: Start) -> None:
    server = start("probe:app", "--graceful-timeout", 120, settings={"drain_delay": 60})
    (old,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    until(lambda: not is_alive(old), "the old worker has exited")
    # SIGQUIT, because SIGTERM would wait for the delay.
    server.signal(signal.SIGQUIT)
    assert server.wait_for_exit() == 0


def test_delay_is_part_of_graceful_timeout(start: Start, tmp_path: Path) -> None:
    server = start("probe:app", "--graceful-timeout", 2, settings={"drain_delay": 60})
    (worker,) = server.worker_pids()
    held = HeldRequest(server, tmp_path).running()
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    until(lambda: not is_alive(worker), "the worker has exited")
    assert b"200 OK" not in held.client.read_to_end()


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT])
def test_quick_shutdown_during_the_delay(start: Start, number: int) -> None:
    server = start("probe:app", "--graceful-timeout", 120, settings={"drain_delay": 60})
    (worker,) = server.worker_pids()
    os.kill(worker, signal.SIGTERM)
    os.kill(worker, number)
    until(lambda: not is_alive(worker), "the worker has exited")
    server.signal(number)
    assert server.wait_for_exit() == 0
