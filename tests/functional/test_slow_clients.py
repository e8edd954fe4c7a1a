"""Deadlines: each kind of slow client is given up, in one line of the log, and the others are served meanwhile."""

from __future__ import annotations

import contextlib
import time

import pytest
from client import request

INVALID = "Invalid request from ip="


def tick(server):
    """Let ``head_timeout`` pass once, by the server's own clock."""
    client = server.connect()
    client.send(b"GET / HT")
    assert client.receive().status == 408


@pytest.mark.parametrize("data", [b"G", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\nHost: test\r\n", b"\r\n",
                                  request("/")[:-1]], ids=repr)
def test_late_head(serve, data):
    server = serve("crowd:app", settings={"head_timeout": 0.3})
    client = server.connect()
    client.send(data)
    assert server.connect().request("/count").status == 200
    response = client.receive()
    assert (response.status, response.reason, response.closes) == (408, "Request Timeout", True)
    client.expect_close()
    assert len(server.whole_log(INVALID)) == 1


def test_late_head_behind_other_requests(serve):
    server = serve("crowd:app", "--keep-alive", 60, settings={"head_timeout": 0.3})
    client = server.connect()
    client.send(request("/count") * 2 + b"GET / HTTP/1.1\r\n")
    assert [client.receive().status for _ in range(3)] == [200, 200, 408]
    client.expect_close()
    assert len(server.whole_log(INVALID)) == 1


def test_silent_connection_is_closed(serve):
    server = serve("crowd:app", "--keep-alive", 60, settings={"head_timeout": 0.3})
    server.connect().expect_close()
    assert server.whole_log() == []


def test_trickling_does_not_extend_the_head_deadline(serve):
    server = serve("crowd:app", settings={"head_timeout": 0.5})
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\n")
    client.sock.settimeout(0.02)
    until = time.monotonic() + 10
    answer = b""
    while not answer and time.monotonic() < until:
        client.send(b"X: y\r\n")
        with contextlib.suppress(TimeoutError):
            answer = client.sock.recv(1000)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_idle_time_does_not_count_for_a_head(serve):
    server = serve("crowd:app", "--keep-alive", 60, settings={"head_timeout": 0.3})
    client = server.connect()
    for _ in range(2):
        assert client.request("/count").status == 200
        tick(server)
        tick(server)
    client.send(b"GET / HT")
    assert client.receive().status == 408


def test_running_requests_have_no_head_deadline(serve):
    server = serve("crowd:app", settings={"head_timeout": 0.3})
    client = server.connect()
    client.send(request(f"/wait?slow{id(client)}"))
    server.wait_for_log("^waiting$")
    tick(server)
    tick(server)
    server.connect().request(f"/open?slow{id(client)}")
    assert client.receive().status == 200


@pytest.mark.parametrize("data", [
    request("/received", method="POST", headers=["Content-Length: 5"]),
    request("/received", method="POST", headers=["Content-Length: 5"]) + b"hell",
    request("/received", method="POST", headers=["Transfer-Encoding: chunked"]) + b"5\r\nhello\r\n",
], ids=["none", "some", "chunked"])
def test_late_body(serve, data):
    server = serve("crowd:app", settings={"body_timeout": 0.3})
    client = server.connect()
    client.send(data)
    assert server.connect().request("/count").status == 200
    assert client.receive().status == 408
    client.expect_close()
    server.wait_for_log("^body failed: .* is a TimeoutError: True$")
    assert len(server.whole_log(INVALID)) == 1


def test_body_may_take_long_if_it_comes_steadily(serve):
    server = serve("crowd:app", settings={"head_timeout": 0.2, "body_timeout": 1.0})
    client = server.connect()
    started = time.monotonic()
    client.send(request("/received", method="POST", headers=["Content-Length: 6"]))
    for byte in b"hello!":
        tick(server)
        client.send(bytes([byte]))
    assert client.receive().body == b"6"
    assert time.monotonic() - started > 1.0


@pytest.mark.parametrize("path", ["/megabytes?40", "/file?40"])
def test_reader_that_stops(serve, path):
    server = serve("crowd:app", settings={"write_timeout": 0.3})
    client = server.connect()
    client.send(request(path))
    server.wait_for_log("^no more megabytes$")
    assert server.connect().request("/count").status == 200
    tail = client.read_to_end()
    assert len(tail) < 40 << 20
    assert server.whole_log("ERROR|Traceback") == []


@pytest.mark.parametrize("path", ["/megabytes?40", "/file?40"])
def test_reader_may_take_long_if_it_reads_steadily(serve, path):
    server = serve("crowd:app", settings={"head_timeout": 0.2, "write_timeout": 1.0})
    client = server.connect()
    started = time.monotonic()
    client.send(request(path))
    head = client.receive_once()
    assert b" 200 OK\r\n" in head
    taken = bytearray(head)
    for _ in range(7):
        tick(server)
        while len(taken) < 2 << 20:
            taken += client.receive_once()
        client.buffer = b""
        for _ in range(16):
            taken += client.receive_once()
    client.buffer = bytes(taken)
    assert len(client.receive().body) == 40 << 20
    assert time.monotonic() - started > 1.0


@pytest.mark.parametrize(("settings", "data"), [
    ({"head_timeout": 0}, b"GET / HTTP"), ({"body_timeout": 0}, request("/received", headers=["Content-Length: 1"])),
], ids=["head", "body"])
def test_0_is_no_limit(serve, settings, data):
    server = serve("crowd:app", settings={"head_timeout": 0.2, "body_timeout": 0.2} | settings)
    client = server.connect()
    client.send(data)
    other = server.connect()
    if "head_timeout" in settings:
        other.send(request("/received", headers=["Content-Length: 1"]))
    else:
        other.send(b"GET / HTTP")
    assert other.receive().status == 408
    client.send(b"/1.1\r\n\r\n" if "head_timeout" in settings else b"x")
    assert client.receive().status == 200


def test_slow_loris(serve):
    """A thousand connections that trickle a head, each given up in one line; the others do not notice."""
    server = serve("crowd:app", "--worker-connections", 1100, "--backlog", 2048, settings={"head_timeout": 3.0})
    slow = [server.connect() for _ in range(1000)]
    for piece in (b"GET / HTTP/1.1\r\n", b"X-Slow: "):
        for client in slow:
            client.send(piece)
        assert server.connect().request("/count").status == 200
    for client in slow:
        assert client.receive().status == 408
        client.expect_close()
    assert server.connect().request("/count").status == 200
    assert len(server.whole_log(INVALID)) == 1000
