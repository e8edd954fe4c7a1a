"""A worker survives any exception in a hub callback: each callback raises once in each way."""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from functools import partial

import pytest

from support.client import Client, request
from support.waiting import until

pytestmark = [pytest.mark.only(transport="tcp", parser="fast"),
              pytest.mark.skipif(sys.platform != "linux", reason="counts file descriptors in /proc")]

CONFIG = "from faults import install as post_worker_init\n"
#: Callbacks that exercise() does not cause.
AT_STOP = {"Server._begin_drain"}
#: The most seconds that a stop may take.
STOP = 2.0


@pytest.fixture
def server(start):
    server = start("faults:app", config=CONFIG, settings={"drain_keepalive": 0.5})
    yield server
    forget_injected(server)


def arm(server, callback, kind, when):
    """Let a callback raise, and return the connection of that request."""
    client = server.connect()
    assert client.request(f"/arm?callback={callback}&kind={kind}&when={when}").status == 200
    return client


def failure(step, server):
    """Take a step and return its errors."""
    try:
        step(server)
    except (AssertionError, OSError) as error:
        return [f"{step.__name__}: {error!r}"[:300]]
    return []


def keep_alive(server):
    client = server.connect(timeout=5)
    for _ in range(3):
        assert client.request("/").body == b"ok"
    client.close()


def pipeline(server):
    client = server.connect(timeout=5)
    client.send(request("/") * 3)
    for _ in range(3):
        assert client.receive().body == b"ok"
    client.close()


def slow_client(server):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(server.address)
    client = Client(sock, timeout=5)
    server.clients.append(client)
    return client


def read_large_response_slowly(server):
    client = slow_client(server)
    client.send(request("/large"))
    keep_alive(server)
    assert len(client.receive().body) == 4 * 1024 * 1024
    client.close()


def read_pipelined_responses_slowly(server):
    """More responses than the kernel takes, so that the rest waits until the socket is writable."""
    client = slow_client(server)
    client.send(request("/medium") * 150)
    first = client.receive()
    keep_alive(server)
    for _ in range(149):
        assert client.receive().body == first.body
    client.close()


def send_invalid_request(server):
    client = server.connect(timeout=5)
    client.send(b"NONSENSE\r\n\r\n")
    assert client.receive().status == 400
    client.close()


def leave_a_reader(server):
    client = server.connect(timeout=5)
    client.send(request("/leave-a-reader", method="POST", headers=["Content-Length: 10"]))
    assert client.receive().body == b"ok"
    client.close()


def wait_for_client(server):
    client = server.connect(timeout=5)
    client.send(request("/wait-for-client"))
    assert client.receive().body == b"ok"
    client.close()


def run_background(server):
    client = server.connect(timeout=5)
    assert client.request("/run-background").body == b"ok"
    client.close()


def run_coroutine(server):
    client = server.connect(timeout=5)
    assert client.request("/run-coroutine").body == b"ok"
    client.close()


STEPS = [keep_alive, pipeline, read_large_response_slowly, read_pipelined_responses_slowly, send_invalid_request,
         leave_a_reader, wait_for_client, run_background, run_coroutine]


def exercise(server):
    """Cause a call of every callback, and return the errors."""
    return [problem for step in STEPS for problem in failure(step, server)]


def settled(server):
    """The number of file descriptors of the worker, once all other connections are closed."""
    server.close_clients()
    return until(lambda: (told := ask(server))["connections"] == 1 and told["descriptors"],
                 "all other connections are closed")


def ask(server):
    """The state of the application, requested on a connection of its own."""
    client = Client.connect(server.address, 5)
    try:
        return json.loads(client.request("/state", headers=["Connection: close"]).body)
    finally:
        client.close()


def test_every_callback_of_the_hub_is_guarded_and_exercised(server):
    """This fails if a new callback has no guard, or if no step causes a call of it."""
    assert exercise(server) == []
    arm(server, "Listener._accept", "memory", "before")
    keep_alive(server)
    told = ask(server)
    assert told["unguarded"] == []
    assert set(told["guarded"]) - set(told["given"]) == AT_STOP


def fired(server, callback):
    return callback in ask(server)["fired"]


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("kind", ["memory", "base", "wait"])
def test_worker_survives_a_fault_in_each_callback(server, kind):
    pid, = server.worker_pids()
    assert exercise(server) == []
    before = settled(server)
    for callback in sorted(set(ask(server)["guarded"]) - AT_STOP):
        for when in ("before", "after"):
            label = f"{callback}, {when}"
            waiting = server.connect()
            gate = server.word()
            waiting.send(request(f"/wait?{gate}"))
            arming = arm(server, callback, kind, when)
            if callback == "Listener._end_backoff":
                armed_too = arm(server, "Listener._accept", "memory", "before")
                keep_alive(server)
                armed_too.close()
            failures = exercise(server)
            until(partial(fired, server, callback), f"a fault in {label}")
            assert len(failures) <= 1, label
            assert exercise(server) == [], label
            assert server.connect().request(f"/open?{gate}").status == 200, label
            assert waiting.receive().body == b"ok", f"{label}: another request was lost"
            arming.close()
            assert settled(server) == before, label
    assert server.worker_pids() == [pid]
    stop_at_once(server)


@pytest.mark.parametrize("kind", ["memory", "base", "wait"])
def test_worker_stops_in_time_after_a_fault_in_the_drain(server, kind):
    """The idle connection is closed after ``drain_keepalive``, as without the fault."""
    idle = server.connect()
    assert idle.request("/").body == b"ok"
    waiting = server.connect()
    gate = server.word()
    waiting.send(request(f"/wait?{gate}"))
    arm(server, "Server._begin_drain", kind, "before")
    assert server.connect().request(f"/open?{gate}", headers=["Connection: close"]).status == 200
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    assert waiting.receive().body == b"ok"
    assert server.wait_for_exit() == 0
    assert time.monotonic() - started < STOP


def stop_at_once(server):
    server.close_clients()
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert time.monotonic() - started < STOP


def forget_injected(server):
    """Expect the tracebacks of the injected faults, but no others."""
    for text in server.unexpected_tracebacks():
        assert text.rpartition("\n")[2].startswith(("MemoryError: injected", "faults.Fault: injected")) \
            or "wait_cooperatively" in text, text
        server.expect_traceback(".")
