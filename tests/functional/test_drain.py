"""A graceful shutdown: requests that are served to the end, and requests that are aborted after graceful_timeout."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.client import Client, request
from support.held_request import HeldRequest
from support.server import Server
from support.waiting import is_alive, until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

#: Seconds within which a worker without requests must exit, far below the graceful_timeout of these tests.
PROMPT = 6.0

WEBSOCKET = (b"GET /websocket%s HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


@pytest.mark.smoke
def test_response_after_the_signal_closes(start: Start, tmp_path: Path) -> None:
    """The exit does not wait for clients that keep their side of the connection open."""
    server = start("probe:app", "--graceful-timeout", 60, settings={"linger_timeout": 60})
    requests = [HeldRequest(server, tmp_path, str(number)).running() for number in range(5)]
    server.signal(signal.SIGTERM)
    until(lambda: server.refuses(), "the listener is closed")
    assert all(is_alive(pid) for pid in server.worker_pids())
    for held in requests:
        held.let_go()
        response = held.client.receive()
        assert (response.status, response.closes) == (200, True)
        held.client.expect_close()
    last = time.monotonic()
    assert server.wait_for_exit() == 0
    assert time.monotonic() - last < PROMPT
    assert not server.log("graceful timeout")


def test_worker_waits_for_the_last_request(start: Start, tmp_path: Path) -> None:
    server = start("probe:app", "--graceful-timeout", 60)
    first, last = (HeldRequest(server, tmp_path, name).running() for name in ("first", "last"))
    (worker,) = server.worker_pids()
    os.kill(worker, signal.SIGTERM)
    first.let_go()
    assert first.answer()["pid"] == worker
    first.client.expect_close()
    assert is_alive(worker)
    last.let_go()
    assert last.answer()["pid"] == worker
    until_gone(worker)


def test_pipelined_request_is_not_served_after_the_signal(start: Start, tmp_path: Path) -> None:
    """The response says ``Connection: close``, so the client can send the other requests again."""
    server = start("probe:app")
    held = HeldRequest(server, tmp_path).running()
    held.client.send(request("/variable?name=A") * 3)
    server.signal(signal.SIGTERM)
    until(lambda: server.refuses(), "the listener is closed")
    held.let_go()
    response = held.client.receive()
    assert (response.status, response.closes) == (200, True)
    # This raises an exception if the connection was reset, which could have destroyed the response.
    assert held.client.sock.recv(100) == b""
    assert server.wait_for_exit() == 0


def test_requests_that_arrive_together_before_the_signal(start: Start) -> None:
    server = start("probe:app")
    (worker,) = server.worker_pids()
    client = server.connect()
    assert client.request().status == 200
    os.kill(worker, signal.SIGSTOP)
    try:
        client.send(request("/variable?name=A") * 3)
        os.kill(worker, signal.SIGTERM)
    finally:
        os.kill(worker, signal.SIGCONT)
    responses = [client.receive()]
    while not responses[-1].closes:
        responses.append(client.receive())
    assert [response.status for response in responses] == [200] * len(responses)
    assert client.sock.recv(100) == b""
    until_gone(worker)


def test_client_that_still_sends_a_body_gets_its_response(start: Start) -> None:
    server = start("endless:app")
    client = server.connect()
    # A worker that still boots would exit at once.
    assert client.request("/").status == 200
    head = request("/read-late", method="POST", headers=["Content-Length: 3000000"])
    client.send(head + b"x" * 1000)
    server.signal(signal.SIGTERM)
    until(lambda: server.refuses(), "the listener is closed")
    for _ in range(20):
        client.send(b"x" * 1000)
    assert client.receive().status == 200
    assert server.wait_for_exit() == 0


@pytest.mark.smoke
def test_connections_in_the_kernels_queue_are_served(start: Start) -> None:
    server = start("probe:app")
    (worker,) = server.worker_pids()
    # A worker that is ready may not accept connections yet, and one that boots would exit without serving.
    assert server.connect().request().status == 200
    server.close_clients()
    os.kill(worker, signal.SIGSTOP)
    try:
        # More than the worker accepts in one turn of its hub.
        clients = [server.connect() for _ in range(150)]
        for client in clients:
            client.send(request("/"))
        server.signal(signal.SIGTERM)
        server.wait_for_log("Handling signal: term")
    finally:
        os.kill(worker, signal.SIGCONT)
    responses = [client.receive() for client in clients]
    assert {json.loads(response.body)["pid"] for response in responses} == {worker}
    assert server.wait_for_exit() == 0


def test_heartbeat_continues_during_a_drain(start: Start, tmp_path: Path) -> None:
    # Only the worker is stopped: the master continues to check its heartbeat.
    server = start("probe:app", "--timeout", 1, "--graceful-timeout", 60)
    held = HeldRequest(server, tmp_path).running()
    (worker,) = server.worker_pids()
    started = time.monotonic()
    os.kill(worker, signal.SIGTERM)
    until(lambda: time.monotonic() - started > 3, "three timeouts")
    held.let_go()
    assert held.answer()["pid"] == worker
    until_gone(worker)
    assert not server.log("WORKER TIMEOUT")


# After graceful_timeout


def opened(server: Server, kind: str, query: str = "") -> Client:
    client = server.connect()
    if kind == "websocket":
        client.send(WEBSOCKET % query.encode())
        assert client.receive().status == 101
        server.wait_for_log("^websocket opened$")
    elif kind == "upgrade":
        client.send(request(f"/upgrade{query}", headers=["Connection: upgrade", "Upgrade: echo"]))
        assert client.receive().status == 101
    else:
        client.send(request(f"/{kind}{query}"))
        assert client.read(17) == b"HTTP/1.1 200 OK\r\n"
    return client


ENDS = {"stream": "stream ended", "websocket": "websocket ended by ConnectionClosed",
        "upgrade": "upgraded connection ended"}
DISCONNECTED = r"\[INFO\] Worker graceful timeout \(pid:\d+\)\. Disconnected WebSockets, or .*: 1\."
ABORTED = {"stream": r"\[WARNING\] Worker graceful timeout \(pid:\d+\)\. Aborted requests: 1\.",
           "websocket": DISCONNECTED, "upgrade": DISCONNECTED}


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.sample(1)
def test_requests_that_do_not_end_are_aborted(start: Start, kind: str) -> None:
    server = start("endless:app", "--graceful-timeout", 3)
    client = opened(server, kind)
    server.signal(signal.SIGTERM)
    until(lambda: server.refuses(), "the listener is closed")
    if kind == "upgrade":
        client.send(b"still here")
        assert client.read(10) == b"still here"
    assert not server.log(ENDS[kind])
    server.wait_for_log(f"^{ENDS[kind]}$")
    server.wait_for_log(ABORTED[kind])
    client.read_to_end()
    assert server.wait_for_exit() == 0
    assert len(server.log("Worker graceful timeout")) == 1
    assert not server.log("SIGKILL")


@pytest.mark.parametrize("kind", ENDS)
def test_request_that_may_end_in_a_drain_does_not_delay_it(start: Start, kind: str) -> None:
    server = start("endless:app", "--graceful-timeout", 60)
    client = opened(server, kind, "?end")
    server.signal(signal.SIGTERM)
    server.wait_for_log(f"^{ENDS[kind]}$")
    client.read_to_end()
    assert server.wait_for_exit() == 0
    assert not server.log("Worker graceful timeout")


def test_aborted_requests_are_counted(start: Start) -> None:
    server = start("endless:app", "--graceful-timeout", 2)
    clients = [opened(server, "stream") for _ in range(4)]
    server.signal(signal.SIGTERM)
    server.wait_for_log(r"Worker graceful timeout \(pid:\d+\)\. Aborted requests: 4\.")
    server.wait_for_log("^stream ended$", count=4)
    for client in clients:
        client.read_to_end()
    assert server.wait_for_exit() == 0


def test_handler_that_ignores_its_client_ends_with_the_process(start: Start) -> None:
    server = start("endless:app", "--graceful-timeout", 1)
    client = opened(server, "silent-stream")
    (worker,) = server.worker_pids()
    server.signal(signal.SIGTERM)
    server.wait_for_log(r"Worker graceful timeout \(pid:\d+\)\. Aborted requests: 1\.")
    client.read_to_end()
    assert server.wait_for_exit() == 0
    until_gone(worker)


def test_stream_of_a_worker_that_is_replaced(start: Start) -> None:
    server = start("endless:app", "--graceful-timeout", 3)
    client = opened(server, "stream")
    (old,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    client.read(100)
    server.wait_for_log("^stream ended$")
    client.read_to_end()
    until_gone(old)
    assert len(server.log(rf"Worker graceful timeout \(pid:{old}\)\. Aborted requests: 1\.")) == 1
