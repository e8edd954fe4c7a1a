"""background.spawn: functions that run after the response."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from support.server import Server

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


@pytest.mark.smoke
def test_function_runs_after_the_response_in_the_context_of_the_request(serve: Start) -> None:
    server = serve("background_app:app")
    client = server.connect()
    assert client.request("/spawn?alice").body == b"ok"
    assert client.request("/spawn?bob").body == b"ok"
    server.wait_for_log("^spawned alice alice! in")
    server.wait_for_log("^spawned bob bob! in")


def test_client_has_the_response_before_the_function_ends(serve: Start) -> None:
    server = serve("background_app:app")
    client = server.connect()
    gate = server.word()
    assert client.request(f"/spawn-waiting?{gate}").body == b"ok"
    server.wait_for_log(f"^waiting {gate}")
    assert client.request(f"/open?{gate}").body == b"ok"
    server.wait_for_log(f"^passed {gate}")


@pytest.mark.parametrize("kind", ["exception", "exit", "base"])
def test_failing_function_is_logged(serve: Start, kind: str) -> None:
    server = serve("background_app:app")
    assert server.connect().request(f"/spawn-failing?{kind}").body == b"ok"
    server.wait_for_log(r"\[ERROR\] Exception in background function fail$")
    server.expect_traceback("deliberate")
    assert server.connect().request("/").body == b"ok"


def test_function_runs_after_a_request_that_fails(serve: Start) -> None:
    server = serve("background_app:app")
    assert server.connect().request("/fail-after-spawn").status == 500
    server.expect_traceback("deliberate")
    server.wait_for_log("^spawned by a failing request")


def test_function_of_a_greenlet_starts_at_once(serve: Start) -> None:
    server = serve("background_app:app")
    gate = server.word()
    client = server.connect()
    client.send(f"GET /spawn-in-thread?{gate} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    server.wait_for_log("^spawned in a thread")
    assert server.connect().request(f"/open?{gate}").body == b"ok"
    assert client.receive().body == b"ok"


def test_forked_process_cannot_spawn(serve: Start) -> None:
    server = serve("background_app:app")
    assert server.connect().request("/spawn-in-a-fork").body == b"ok"
    server.wait_for_log(r"^refused: background\.spawn\(\) does not work in a process that a worker has forked")


def test_drain_waits_for_the_function(start: Start) -> None:
    server = start("background_app:app")
    gate = server.word()
    kept = server.connect()
    assert kept.request(f"/spawn-waiting?{gate}").body == b"ok"
    held = server.connect()
    held.send(b"GET /op")
    server.wait_for_log(f"^waiting {gate}")
    server.signal(signal.SIGTERM)
    server.wait_for_log("Handling signal: term")
    held.send(f"en?{gate} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert held.receive().body == b"ok"
    server.wait_for_log(f"^passed {gate}")
    assert server.wait_for_exit() == 0
    assert not server.log("have not ended")


@pytest.mark.full
def test_drain_abandons_the_function_at_the_end_of_graceful_timeout(start: Start) -> None:
    server = start("background_app:app", "--graceful-timeout", 1)
    client = server.connect()
    for _ in range(2):
        assert client.request("/spawn-waiting?never").body == b"ok"
    server.wait_for_log("^waiting never", count=2)
    server.signal(signal.SIGTERM)
    server.wait_for_log(r"\[WARNING\] Worker graceful timeout \(pid:\d+\)\. Background functions that have not ended: "
                        r"wait_and_report \(2 times\)\. Set graceful_timeout above the longest one\.$")
    assert server.wait_for_exit() == 0
    assert not server.log("Aborted requests")


@pytest.mark.full
def test_request_of_flask_can_be_used_after_its_end(start: Start) -> None:
    pytest.importorskip("flask")
    server = start("background_flask:app")
    client = server.connect()
    for name in ("first", "second"):
        assert client.request(f"/{name}?number=5", method="POST", headers=["Content-Length: 4"],
                              body=b"body").status == 200
    for name in ("first", "second"):
        server.wait_for_log(f"^later /{name} 5 {name} {name} background_flask body$")
        assert server.log(f"^(teardown|later) /{name}")[0] == f"teardown /{name}"
