"""The time limits of request and response bodies: a client that stops is closed, a slow but steady one is not."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from support.client import request
from support.timeouts import INVALID, tick

#: The request parser makes no difference here.
pytestmark = pytest.mark.only(parser="fast")


@pytest.mark.parametrize("data", [
    request("/received", method="POST", headers=["Content-Length: 5"]),
    request("/received", method="POST", headers=["Content-Length: 5"]) + b"hell",
    request("/received", method="POST", headers=["Transfer-Encoding: chunked"]) + b"5\r\nhello\r\n",
], ids=["none", "some", "chunked"])
def test_late_body(serve, data):
    server = serve("many_clients:app", settings={"body_timeout": 0.3})
    client = server.connect()
    client.send(data)
    assert server.connect().request("/count").status == 200
    assert client.receive().status == 408
    client.expect_close()
    server.wait_for_log("^body failed: .* is a TimeoutError: True$")
    assert len(server.whole_log(INVALID)) == 1


CHUNKED = request("/received", method="POST", headers=["Transfer-Encoding: chunked"]) + b"5\r\nhello\r\n"


@pytest.mark.parametrize("pieces", [[b"0\r\n"], [b"0\r\nX", b": y\r\n"], [b"0\r\nX: "] + [b"y"] * 100,
                                    [b"0\r\n"] + [b"X: y\r\n"] * 100], ids=["none", "some", "long", "many"])
def test_head_timeout_applies_to_the_whole_trailer_section(serve, pieces):
    server = serve("many_clients:app", settings={"head_timeout": 0.5, "body_timeout": 60.0})
    client = server.connect()
    client.send(CHUNKED)
    client.sock.settimeout(0.02)
    response = b""
    for piece in pieces:
        client.send(piece)
        with contextlib.suppress(socket.timeout):
            response = client.sock.recv(1000)
            break
    client.sock.settimeout(client.timeout)
    assert (response or client.receive_once()).startswith(b"HTTP/1.1 408 ")
    server.wait_for_log("^body failed: .* is a TimeoutError: True$")
    assert len(server.whole_log(INVALID)) == 1


def test_linger_timeout_applies_to_all_unread_trailers(serve):
    server = serve("many_clients:app", "--keep-alive", 60, settings={"linger_timeout": 0.5})
    client = server.connect()
    client.send(CHUNKED.replace(b"/received", b"/count") + b"0\r\nX: ")
    assert client.receive().status == 200
    client.sock.settimeout(0.02)
    for _ in range(150):
        client.send(b"y")
        with contextlib.suppress(socket.timeout):
            assert client.sock.recv(1000) == b""
            break
    else:
        pytest.fail("the connection is still open")


def test_steady_body_has_no_time_limit(serve):
    server = serve("many_clients:app", settings={"head_timeout": 0.2, "body_timeout": 1.0})
    client = server.connect()
    started = time.monotonic()
    client.send(request("/received", method="POST", headers=["Content-Length: 6"]))
    for byte in b"hello!":
        tick(server)
        client.send(bytes([byte]))
    assert client.receive().body == b"6"
    assert time.monotonic() - started > 1.0


@pytest.mark.parametrize("path", ["/megabytes?40", "/file?40"])
def test_reader_that_stops_is_closed(serve, path):
    server = serve("many_clients:app", settings={"write_timeout": 0.3})
    client = server.connect()
    client.send(request(path))
    server.wait_for_log("^no more megabytes$")
    assert server.connect().request("/count").status == 200
    tail = client.read_to_end()
    assert len(tail) < 40 << 20
    assert server.whole_log("ERROR|Traceback") == []


@pytest.mark.parametrize("path", ["/megabytes?40", "/part?40", "/file?40"])
@pytest.mark.sample(1)
def test_steady_reader_has_no_time_limit(serve, path):
    server = serve("many_clients:app", settings={"head_timeout": 0.2, "write_timeout": 3.0})
    client = server.connect()
    started = time.monotonic()
    client.send(request(path, headers=["Connection: close"]))
    taken = len(client.receive_once())
    # The whole transfer takes longer than write_timeout, each pause is much shorter.
    while time.monotonic() - started < 3.3:
        tick(server)
        for _ in range(32):
            taken += len(client.receive_once())
    taken += len(client.read_to_end())
    # The head and the framing of chunks are less than one part.
    assert 40 << 20 < taken < (40 << 20) + 65536


@pytest.mark.only(transport="tcp")
def test_steady_reader_of_a_batched_response_has_no_time_limit(serve):
    """The worker has left the response to the hub. The kernel takes a little of it at a time."""
    server = serve("many_clients:app", settings={"write_timeout": 1.0})
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.connect(server.address)
    with contextlib.closing(sock):
        sock.settimeout(10)
        started = time.monotonic()
        sock.sendall(request("/small-send-buffer", headers=["Connection: close"]))
        taken = b""
        while data := sock.recv(1024):
            taken += data
            # The whole transfer takes longer than write_timeout, each pause is much shorter.
            time.sleep(0.12)
        assert time.monotonic() - started > 1.5
        assert taken.endswith(b"x" * 30000)


@pytest.mark.parametrize(("settings", "data"), [
    ({"head_timeout": 0}, b"GET / HTTP"), ({"body_timeout": 0}, request("/received", headers=["Content-Length: 1"])),
], ids=["head", "body"])
def test_0_is_no_limit(serve, settings, data):
    server = serve("many_clients:app", settings={"head_timeout": 0.2, "body_timeout": 0.2} | settings)
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
