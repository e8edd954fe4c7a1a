"""Limits of a worker: connections, requests, times and sizes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.client import Client, ClosedError
from support.held_request import HeldRequest
from support.server import Server
from support.waiting import is_alive, until

pytestmark = pytest.mark.only(transport="tcp")

Start = Callable[..., Server]


def pid(client: Client) -> int:
    return json.loads(client.request().body)["pid"]


@pytest.mark.only(parser="fast")
class TestWorker:
    @pytest.mark.smoke
    def test_worker_connections_are_counted_over_all_listeners(self, start: Start, tmp_path: Path) -> None:
        server = start("probe:app", "--worker-connections", 3, bind=["127.0.0.1:0", "127.0.0.1:0"])
        requests = [HeldRequest(server, tmp_path, str(number), number % 2) for number in range(8)]
        until(lambda: sum(held.runs for held in requests) >= 3, "three requests run")
        for held in requests:
            held.let_go()
        assert max(held.answer()["most"] for held in requests) == 3

    def test_workers_share_the_listener(self, start: Start, tmp_path: Path) -> None:
        server = start("probe:app", "--worker-connections", 1, workers=2)
        requests = [HeldRequest(server, tmp_path, name) for name in ("first", "second")]
        for held in requests:
            held.running()
        for held in requests:
            held.let_go()
        assert {held.answer()["pid"] for held in requests} == set(server.worker_pids())

    def test_keepalive_ends_an_idle_connection(self, serve: Start) -> None:
        client = serve("probe:app", "--keep-alive", 1).connect()
        for _ in range(2):
            assert not client.request().closes
        answered = time.monotonic()
        client.expect_close()
        assert 0.8 < time.monotonic() - answered < 5

    def test_keepalive_is_2_seconds_by_default(self, serve: Start) -> None:
        client = serve("probe:app").connect()
        for _ in range(2):
            assert not client.request().closes
        answered = time.monotonic()
        client.expect_close()
        assert 1.5 < time.monotonic() - answered < 8

    def test_keepalive_0_serves_one_request(self, serve: Start) -> None:
        client = serve("probe:app", "--keep-alive", 0).connect()
        assert client.request().closes
        client.expect_close()

    def test_timeout_kills_a_blocked_worker(self, start: Start) -> None:
        config = "from os import write\ndef worker_abort(worker):\n    write(2, b'%d aborts\\n' % worker.pid)\n"
        server = start("probe:app", "--timeout", 1, config=config)
        blocked = server.connect()
        old = pid(blocked)
        blocked.send(b"GET /spin?seconds=60 HTTP/1.1\r\nHost: test\r\n\r\n")
        server.wait_for_log(rf"WORKER TIMEOUT \(pid:{old}\)")
        server.wait_for_log(rf"^{old} aborts$")
        server.wait_for_log(r"^worker \d+ is ready$", count=2)
        assert pid(server.connect()) != old
        with pytest.raises(ClosedError):
            blocked.receive()

    def test_timeout_spares_a_worker_with_long_requests(self, start: Start, tmp_path: Path) -> None:
        server = start("probe:app", "--timeout", 1)
        held = HeldRequest(server, tmp_path).running()
        started = time.monotonic()
        until(lambda: time.monotonic() - started > 2.5, "two and a half timeouts")
        held.let_go()
        assert [held.answer()["pid"]] == server.worker_pids()
        assert not server.log("WORKER TIMEOUT")

    def test_graceful_timeout_ends_a_long_request(self, start: Start, tmp_path: Path) -> None:
        server = start("probe:app", "--graceful-timeout", 1)
        held = HeldRequest(server, tmp_path).running()
        started = time.monotonic()
        server.signal(15)
        assert server.wait_for_exit() == 0
        assert 0.8 < time.monotonic() - started < 6
        assert b"200 OK" not in held.client.read_to_end()

    @pytest.mark.smoke
    def test_max_requests_replaces_the_worker(self, start: Start) -> None:
        server = start("probe:app", "--max-requests", 3)
        client = server.connect()
        first = [client.request() for _ in range(3)]
        old = {json.loads(response.body)["pid"] for response in first}
        assert len(old) == 1
        # There was no time for a successor yet.
        assert [response.closes for response in first] == [False, False, False]
        server.wait_for_log(r"Recycling the worker \(pid:\d+\): max_requests is reached \(3 served\)$")
        server.wait_for_log(r"^worker \d+ is ready$", count=2)
        until(lambda: not any(map(is_alive, old)), "the old worker has exited")
        assert pid(server.connect()) not in old
        assert len(server.log("Recycling")) == 1

    def test_max_requests_jitter_differs_between_workers(self, start: Start) -> None:
        config = ("from os import write\ndef post_fork(server, worker):\n"
                  "    write(2, b'%d requests\\n' % worker.max_requests)\n")
        server = start("probe:app", "--max-requests", 7, "--max-requests-jitter", 10**9, config=config, workers=3)
        limits = [int(line.split()[0]) for line in server.log(r"^\d+ requests$")]
        assert len(set(limits)) == 3
        assert all(7 <= limit <= 7 + 10**9 for limit in limits)

    @pytest.mark.smoke
    def test_max_requests_with_jitter_recycles_the_worker_at_its_limit(self, start: Start) -> None:
        config = ("from os import write\ndef post_fork(server, worker):\n"
                  "    write(2, b'%d requests\\n' % worker.max_requests)\n")
        server = start("probe:app", "--max-requests", 5, "--max-requests-jitter", 10, config=config)
        limit = int(server.wait_for_log(r"^(\d+) requests$")[1])
        client = server.connect()
        for _ in range(limit - 1):
            assert client.request().status == 200
        assert not server.log("Recycling")
        assert client.request().status == 200
        server.wait_for_log(rf"Recycling the worker \(pid:\d+\): max_requests is reached \({limit} served\)$")
        assert 5 <= limit <= 15


def status(server: Server, head: str) -> int:
    client = server.connect()
    client.send(head.encode())
    return client.receive().status


def test_long_request_line_is_refused(serve: Start) -> None:
    server = serve("probe:app", "--limit-request-line", 60)
    start = "GET /?" + "x" * 100
    for length, expected in (59, 200), (60, 200), (61, 414), (100, 414):
        line = start[:length - len(" HTTP/1.1")] + " HTTP/1.1"
        assert (length, status(server, f"{line}\r\nHost: test\r\n\r\n")) == (length, expected)


def test_default_limit_of_the_request_line(serve: Start) -> None:
    server = serve("probe:app")
    for length, expected in (4094, 200), (4095, 414), (9000, 414):
        line = "GET /?" + "x" * (length - len("GET /? HTTP/1.1")) + " HTTP/1.1"
        assert (length, status(server, f"{line}\r\nHost: test\r\n\r\n")) == (length, expected)


def test_limit_request_line_0_is_unlimited(serve: Start) -> None:
    server = serve("probe:app", "--limit-request-line", 0)
    assert status(server, f"GET /?{'x' * 20000} HTTP/1.1\r\nHost: test\r\n\r\n") == 200


def test_too_many_fields_are_refused(serve: Start) -> None:
    server = serve("probe:app", "--limit-request-fields", 5)
    for fields, expected in (4, 200), (5, 200), (6, 431), (50, 431):
        more = "".join(f"X-{index}: x\r\n" for index in range(fields - 1))
        assert (fields, status(server, f"GET / HTTP/1.1\r\nHost: test\r\n{more}\r\n")) == (fields, expected)


def test_long_field_is_refused(serve: Start) -> None:
    server = serve("probe:app", "--limit-request-field_size", 50)
    for length, expected in (49, 200), (50, 200), (51, 431), (80, 431):
        # Gunicorn counts the whole line with its line end.
        line = "X-Long: " + "x" * (length - len("X-Long: \r\n"))
        assert (length, status(server, f"GET / HTTP/1.1\r\nHost: test\r\n{line}\r\n\r\n")) == (length, expected)


def test_default_limit_of_a_field(serve: Start) -> None:
    server = serve("probe:app")
    for length, expected in (8190, 200), (8191, 431), (70000, 431):
        line = "X-Long: " + "x" * (length - len("X-Long: \r\n"))
        assert (length, status(server, f"GET / HTTP/1.1\r\nHost: test\r\n{line}\r\n\r\n")) == (length, expected)


def test_refused_limits_are_logged_once(serve: Start) -> None:
    server = serve("probe:app", "--limit-request-fields", 5)
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 30 + b"\r\n")
    response = client.receive()
    assert (response.status, response.closes) == (431, True)
    client.expect_close()
    server.wait_for_log(r"Invalid request from ip=127\.0\.0\.1: ")
    assert re.search("<h1><p>Request Header Fields Too Large</p></h1>", response.text)
    assert len(server.log("Invalid request")) == 1
