"""Signals that stop servers and workers, a master that dies, and the heartbeat."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.client import ClosedError, request
from support.held_request import HeldRequest
from support.server import Server
from support.waiting import WAIT_LIMIT, is_alive, until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

#: Seconds within which a server without running requests stops.
PROMPT = 5.0


# TERM


def test_term_without_connections(start: Start) -> None:
    server = start("probe:app", workers=2)
    workers = server.worker_pids()
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert time.monotonic() - started < PROMPT
    assert not any(map(is_alive, workers))


@pytest.mark.smoke
def test_term_lets_a_request_finish(start: Start, tmp_path: Path) -> None:
    server = start("probe:app")
    held = HeldRequest(server, tmp_path).running()
    server.signal(signal.SIGTERM)
    server.wait_for_log("Handling signal: term")
    until(lambda: server.refuses(), "a closed listening socket")
    held.let_go()
    assert held.answer()["most"] == 1
    held.client.expect_close()
    assert server.wait_for_exit() == 0
    assert not server.log("graceful timeout")


def test_term_finishes_a_stream(start: Start) -> None:
    server = start("probe:app")
    client = server.connect()
    client.send(request("/stream?parts=200"))
    client.read(10)
    server.signal(signal.SIGTERM)
    server.wait_for_log("Handling signal: term")
    rest = client.read_to_end()
    assert rest.endswith(b"\r\n0\r\n\r\n")
    assert rest.count(b"x") == 200 * 65536
    assert server.wait_for_exit() == 0


@pytest.mark.smoke
def test_term_does_not_wait_for_idle_connections(start: Start) -> None:
    server = start("probe:app", "--keep-alive", 60, "--graceful-timeout", 60)
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        assert client.request().status == 200
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    for client in clients:
        client.expect_close()
    assert server.wait_for_exit() == 0
    assert time.monotonic() - started < PROMPT


def test_term_with_a_silent_connection(start: Start) -> None:
    server = start("probe:app", "--graceful-timeout", 60)
    silent = server.connect()
    # The worker has accepted it when it answers a later one.
    assert server.ask()
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    silent.expect_close()
    assert server.wait_for_exit() == 0
    assert time.monotonic() - started < PROMPT


def test_term_serves_the_first_request_of_an_open_connection(start: Start) -> None:
    # If a new connection is closed before its first request, a client sees a failure. It would retry on a kept one.
    server = start("probe:app")
    client = server.connect()
    assert server.ask()
    server.signal(signal.SIGTERM)
    until(lambda: server.refuses(), "a closed listening socket")
    response = client.request("/variable?name=A")
    assert (response.status, response.closes) == (200, True)
    client.expect_close()
    assert server.wait_for_exit() == 0


def test_term_while_a_head_arrives(start: Start) -> None:
    server = start("probe:app")
    client = server.connect()
    client.send(b"GET /variable?name=A HTTP/1.1\r\n")
    client.wait_until_read(WAIT_LIMIT)
    server.signal(signal.SIGTERM)
    until(lambda: server.refuses(), "a closed listening socket")
    client.send(b"Host: test\r\n\r\n")
    response = client.receive()
    assert (response.status, response.closes) == (200, True)
    assert server.wait_for_exit() == 0


def test_term_serves_requests_that_have_arrived(start: Start) -> None:
    # The worker is stopped while both arrive, so it sees the requests and the signal at the same time.
    server = start("probe:app", "--keep-alive", 60)
    (worker,) = server.worker_pids()
    clients = [server.connect() for _ in range(10)]
    for client in clients:
        assert client.request().status == 200
    os.kill(worker, signal.SIGSTOP)
    try:
        for client in clients:
            client.send(request("/variable?name=A"))
        os.kill(worker, signal.SIGTERM)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert [client.receive().status for client in clients] == 10 * [200]
    until(lambda: not is_alive(worker), "the end of the worker")
    server.wait_for_log(r"^worker \d+ is ready$", count=2)


def test_term_to_a_worker_replaces_it(start: Start, tmp_path: Path) -> None:
    server = start("probe:app")
    (old,) = server.worker_pids()
    held = HeldRequest(server, tmp_path).running()
    os.kill(old, signal.SIGTERM)
    held.let_go()
    assert held.answer()["pid"] == old
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    assert server.ask()["pid"] != old


# QUIT and INT


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT])
@pytest.mark.smoke
def test_quick_stop(start: Start, tmp_path: Path, number: int) -> None:
    server = start("probe:app")
    held = HeldRequest(server, tmp_path).running()
    idle = server.connect()
    assert idle.request().status == 200
    started = time.monotonic()
    server.signal(number)
    assert server.wait_for_exit() == 0
    assert time.monotonic() - started < PROMPT
    with pytest.raises(ClosedError):
        held.client.receive()
    idle.expect_close()


def test_quit_during_a_graceful_stop(start: Start, tmp_path: Path) -> None:
    server = start("probe:app", "--graceful-timeout", 60)
    held = HeldRequest(server, tmp_path).running()
    (worker,) = server.worker_pids()
    os.kill(worker, signal.SIGTERM)
    os.kill(worker, signal.SIGQUIT)
    until(lambda: not is_alive(worker), "the end of the worker")
    with pytest.raises(ClosedError):
        held.client.receive()
    # While a worker boots it ignores TERM, so the server would stop slowly.
    server.wait_for_log(r"^worker \d+ is ready$", count=2)


# Masters and workers that die


def test_worker_drains_when_the_master_is_killed(start: Start, tmp_path: Path) -> None:
    server = start("probe:app")
    (worker,) = server.worker_pids()
    held = HeldRequest(server, tmp_path).running()
    os.kill(server.pid, signal.SIGKILL)
    server.wait_for_log("Parent changed, shutting down")
    until(lambda: server.refuses(), "a closed listening socket")
    held.let_go()
    assert held.answer()["pid"] == worker
    until(lambda: not is_alive(worker), "the end of the worker")


def test_worker_that_is_killed_is_replaced(start: Start) -> None:
    server = start("probe:app")
    (old,) = server.worker_pids()
    client = server.connect()
    assert client.request().status == 200
    os.kill(old, signal.SIGKILL)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    client.expect_close()
    assert server.ask()["pid"] != old


def test_heartbeat_continues_under_load(start: Start) -> None:
    server = start("probe:app", "--timeout", 1)
    (worker,) = server.worker_pids()
    clients = [server.connect() for _ in range(8)]
    started = time.monotonic()
    while time.monotonic() - started < 2.5:
        for client in clients:
            client.send(10 * request("/spin?seconds=0.002"))
        for client in clients:
            assert all(client.receive().status == 200 for _ in range(10))
    assert server.worker_pids() == [worker]
    assert not server.log("WORKER TIMEOUT")


# While the application is loaded

HOLDING = """
import logging, os, signal, time
class Handler(logging.Handler):
    def emit(self, record):
        # When the master stops, it sends the worker a signal, too.
        os.kill(os.getppid(), {sig})
        os.kill(os.getpid(), {sig})
        print("the handler is done", flush=True)
logging.getLogger("holding").addHandler(Handler())
logging.getLogger("holding").error("here")
time.sleep(60)
"""


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT])
def test_booting_worker_exits_after_a_lock_is_released(start: Start, tmp_path: Path, sig: int) -> None:
    (tmp_path / "holding.py").write_text(HOLDING.format(sig=int(sig)))
    server = start("holding:app", "--pythonpath", tmp_path, "--graceful-timeout", 60, ready=False)
    assert server.wait_for_exit() == 0
    assert server.log("the handler is done", since=0)
    assert len(server.log("Worker exiting", since=0)) == 1


PATCHING = """
import os, signal, time
def post_fork(server, worker):
    from gworkers import hubs
    patch = hubs.patch
    def interrupted(*args):
        os.kill(os.getppid(), signal.SIGTERM)
        while signal.SIGTERM not in signal.sigpending():
            time.sleep(0.01)
        patch(*args)
        print("patched", flush=True)
    hubs.patch = interrupted
"""


def test_signal_does_not_interrupt_patching(start: Start) -> None:
    """eventlet would report an exception there, and continue."""
    server = start("probe:app", "--graceful-timeout", 60, config=PATCHING, ready=False)
    assert server.wait_for_exit() == 0
    assert server.log("^patched$", since=0)
    assert len(server.log("Worker exiting", since=0)) == 1


CATCHING = """
import time
caught = 0
while True:
    try:
        print("the application continues", flush=True)
        time.sleep(60)
    except BaseException:
        caught += 1
        if caught == 3:
            raise ValueError("what is it?")
"""


def test_application_that_catches_the_exit_while_it_loads(start: Start, tmp_path: Path) -> None:
    (tmp_path / "catching.py").write_text(CATCHING)
    server = start("catching:app", "--pythonpath", tmp_path, "--graceful-timeout", 60, ready=False)
    server.wait_for_log("^the application continues$")
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert len(server.log("^the application continues$", since=0)) == 3
