"""The time limit of request heads: a slow client gets a 408 and one log line, and others are served meanwhile."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from support.client import request
from support.timeouts import INVALID, tick


@pytest.mark.parametrize("data", [b"G", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\nHost: test\r\n", b"\r\n",
                                  request("/")[:-1]], ids=repr)
def test_late_head(serve, data):
    server = serve("many_clients:app", settings={"head_timeout": 0.3})
    client = server.connect()
    client.send(data)
    assert server.connect().request("/count").status == 200
    response = client.receive()
    assert (response.status, response.reason, response.closes) == (408, "Request Timeout", True)
    client.expect_close()
    assert len(server.whole_log(INVALID)) == 1


def test_uwsgi_protocol_is_refused_at_once(serve):
    server = serve("many_clients:app", settings={"head_timeout": 60})
    client = server.connect()
    client.send(b"\x00\x10\x00\x00\x0e\x00REQUEST_METHOD")
    response = client.receive()
    assert (response.status, response.closes) == (400, True)
    assert "replace uwsgi_pass by proxy_pass" in response.text
    client.expect_close()
    server.wait_for_log(r"Invalid request from ip=.*: the client sends the uwsgi protocol instead of HTTP\.")


@pytest.mark.smoke
def test_late_head_after_other_requests(serve):
    server = serve("many_clients:app", "--keep-alive", 60, settings={"head_timeout": 0.3})
    client = server.connect()
    client.send(request("/count") * 2 + b"GET / HTTP/1.1\r\n")
    assert [client.receive().status for _ in range(3)] == [200, 200, 408]
    client.expect_close()
    assert len(server.whole_log(INVALID)) == 1


def test_silent_connection_is_closed(serve):
    server = serve("many_clients:app", "--keep-alive", 60, settings={"head_timeout": 0.3})
    server.connect().expect_close()
    assert server.whole_log() == []


def test_trickling_does_not_extend_the_head_deadline(serve):
    server = serve("many_clients:app", settings={"head_timeout": 0.5})
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\n")
    client.sock.settimeout(0.02)
    until = time.monotonic() + 10
    response = b""
    while not response and time.monotonic() < until:
        client.send(b"X: y\r\n")
        with contextlib.suppress(socket.timeout):
            response = client.sock.recv(1000)
    assert response.startswith(b"HTTP/1.1 408 ")


def test_idle_time_is_not_part_of_head_timeout(serve):
    server = serve("many_clients:app", "--keep-alive", 60, settings={"head_timeout": 0.3})
    client = server.connect()
    for _ in range(2):
        assert client.request("/count").status == 200
        tick(server)
        tick(server)
    client.send(b"GET / HT")
    assert client.receive().status == 408


def test_running_requests_have_no_head_deadline(serve):
    server = serve("many_clients:app", settings={"head_timeout": 0.3})
    client = server.connect()
    gate = server.word()
    client.send(request(f"/wait?{gate}"))
    server.wait_for_log("^waiting$")
    tick(server)
    tick(server)
    server.connect().request(f"/open?{gate}")
    assert client.receive().status == 200


@pytest.mark.log_handler(waits="a thousand log lines take 50 s", locked="a thousand log lines take 20 s")
def test_slow_loris(serve):
    """A thousand connections send parts of a head. Each gets a 408 and a log line; others are served meanwhile."""
    server = serve("many_clients:app", "--worker-connections", 1100, "--backlog", 2048, settings={"head_timeout": 3.0})
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
