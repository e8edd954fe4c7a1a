"""The status server: the state of a server as JSON, as metrics, and for probes."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.client import Client, request
from support.deployment import Deployment
from support.held_request import HeldRequest
from support.server import Server
from support.status import ON, Status
from support.waiting import until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


@pytest.mark.smoke
def test_state_counts_requests_by_status_class(start: Start) -> None:
    server = start("probe:app", settings=ON)
    status = Status(server)
    client = server.connect()
    for _ in range(3):
        assert client.request("/").status == 200
    client.send(b"nonsense\r\n\r\n")
    assert client.receive().status == 400
    until(lambda: status.requests() == 4, "4 requests")
    state = status.state()
    assert state["totals"]["requests"] == {"1xx": 0, "2xx": 3, "3xx": 0, "4xx": 1, "5xx": 0, "other": 0}
    assert state["request_time"]["count"] == 3
    assert state["request_time"]["buckets"][-1][1] == 3
    assert state["totals"]["bytes_in"] >= 3 * len("GET / HTTP/1.1\r\n\r\n")
    assert state["totals"]["bytes_out"] > 3 * len("HTTP/1.1 200 OK\r\n\r\n")
    assert state["server"]["state"] == "serving"
    assert state["server"]["pid"] == server.pid
    (worker,) = state["workers"]
    assert [worker["pid"]] == server.worker_pids()
    assert (worker["number"], worker["slot"], worker["phase"], worker["requests"]) == (1, 1, "ready", 4)
    assert worker["rss"] > 1_000_000


def test_request_in_flight_is_listed_with_its_stack(start: Start, tmp_path: Path) -> None:
    server = start("probe:app", settings=ON)
    status = Status(server)
    held = HeldRequest(server, tmp_path).running()
    until(lambda: status.state()["workers"][0]["in_flight_requests"], "a request in flight")
    state = status.state()
    (request,) = state["workers"][0]["in_flight_requests"]
    assert (request["method"], request["path"], request["peer"], request["state"]) == (
        "GET", "/hold", "127.0.0.1", "waiting")
    assert "probe.py" in request["stack"]
    assert "in hold" in request["stack"]
    assert state["workers"][0]["in_flight"] == 1
    held.let_go()
    held.answer()
    until(lambda: not status.state()["workers"][0]["in_flight"], "the end of the request")


@pytest.mark.smoke
def test_metrics_agree_with_the_state(start: Start) -> None:
    pytest.importorskip("prometheus_client")
    server = start("probe:app", settings=ON, workers=2)
    status = Status(server)
    client = server.connect()
    for _ in range(5):
        assert client.request("/").status == 200
    until(lambda: status.requests() == 5, "5 requests")
    metrics = status.metrics()
    assert metrics["gworkers_requests_total", (("status", "2xx"),)] == 5
    assert metrics["gworkers_request_seconds_count", ()] == 5
    assert metrics["gworkers_request_seconds_bucket", (("le", "+Inf"),)] == 5
    assert metrics["gworkers_ready", ()] == 1
    assert sum(value for (name, _), value in metrics.items() if name == "gworkers_worker_phase") == 2
    assert metrics["gworkers_connections", (("slot", "1"), ("state", "open"), ("worker", "1"))] in (0, 1)


def test_ready_follows_the_workers(start: Start, deployment: Deployment, tmp_path: Path) -> None:
    deployment.hold()
    server = start("deployed:app", *deployment.options, "--graceful-timeout", 60, settings=ON, ready=False)
    status = Status(server)
    deployment.booting(1, but=set())
    response = status.get("/ready")
    assert (response.status, response.body) == (503, b"not ready: no worker accepts connections\n")
    assert status.state()["server"]["state"] == "starting"
    assert status.state()["workers"][0]["phase"] == "booting"
    assert status.get("/live").status == 200
    deployment.let_go()
    server.ready()
    status.wait_until_ready()
    held = HeldRequest(server, tmp_path).running()
    server.signal(signal.SIGTERM)
    until(lambda: status.get("/ready").status == 503, "the end of readiness")
    assert status.get("/ready").body == b"not ready: the server stops\n"
    until(lambda: status.state()["workers"][0]["phase"] == "draining", "the drain")
    held.let_go()
    held.answer()
    assert server.wait_for_exit() == 0
    until(lambda: not status.is_reachable, "the end of the status process")


def test_live_fails_while_a_worker_is_blocked_beyond_the_timeout(start: Start) -> None:
    server = start("probe:app", "--timeout", 1, settings={**ON, "block_warning": 0.2})
    status = Status(server)
    until(lambda: status.state()["workers"][0]["published"], "a publication")
    # The arbiter would end the blocked worker.
    os.kill(server.pid, signal.SIGSTOP)
    try:
        (pid,) = server.worker_pids()
        os.kill(pid, signal.SIGSTOP)
        until(lambda: status.get("/live").status == 503, "the failure")
        assert re.fullmatch(rb"worker 1 is blocked for \d s\n", status.get("/live").body)
        assert status.state()["workers"][0]["blocked"] > 1
        os.kill(pid, signal.SIGCONT)
        until(lambda: status.get("/live").status == 200, "the end of the failure")
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_unknown_path_is_not_found(start: Start) -> None:
    server = start("probe:app", settings=ON)
    status = Status(server)
    for path in ("/nonsense", "/server.py", "/../server.py", "/page/../server.py", "/%2e%2e/server.py"):
        assert status.get(path).status == 404, path


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the length of the queue")
@pytest.mark.full
def test_accept_queue_of_a_blocked_worker(start: Start) -> None:
    server = start("probe:app", settings=ON)
    status = Status(server)
    until(lambda: status.state()["accept_queue"], "a queue")
    blocked = server.connect()
    blocked.send(request("/spin?seconds=6"))
    until(lambda: status.state()["workers"][0]["blocked"], "a blocked worker")
    waiting = [server.connect() for _ in range(3)]
    until(lambda: status.state()["accept_queue"][0]["length"] == 3, "3 connections in the queue")
    (queue,) = status.state()["accept_queue"]
    assert queue["address"] == f"http://127.0.0.1:{server.address[1]}"
    assert queue["limit"] >= 3
    assert blocked.receive().status == 200
    assert waiting[0].request().status == 200
    until(lambda: status.state()["accept_queue"][0]["length"] == 0, "an empty queue")


def test_page_is_served(start: Start) -> None:
    server = start("probe:app", settings=ON)
    response = Status(server).get("/")
    assert response.status == 200
    assert response.header("content-type") == "text/html; charset=utf-8"
    assert b"<title>" in response.body


def test_hub_time_is_counted(start: Start) -> None:
    server = start("probe:app", settings=ON)
    status = Status(server)
    assert server.connect().request("/spin?seconds=0.2").status == 200
    until(lambda: status.requests() == 1, "a request")
    assert 0.1 < status.state()["workers"][0]["hub_time"] < 20


@pytest.mark.parametrize("field", [
    "Accept: application/openmetrics-text;version=x", "Accept: text/plain;version=1.0.0;escaping=x", "Accept", ": x"])
def test_request_with_an_invalid_field_is_answered(start: Start, field: str) -> None:
    """It must not cause an exception, which would be logged."""
    pytest.importorskip("prometheus_client")
    client = Client.connect(Status(start("probe:app", settings=ON)).address)
    assert client.request("/metrics", version="1.0", headers=[field]).status == 200
    client.close()
