"""An application takes its connection over: it is left alone, and logged once."""

from __future__ import annotations

import pytest
from client import request
from simple_websocket import Client as WebSocket
from simple_websocket import ConnectionClosed

#: RFC 6455 section 1.3, with its example of a key and what the answer to it must be.
HANDSHAKE = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
             "Sec-WebSocket-Version: 13"]
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#: "hello" and "stop" from a client, masked with zeros; "hello" from a server; an empty close (RFC 6455 section 5.2).
HELLO, STOP, HELLO_BACK = b"\x81\x85\0\0\0\0hello", b"\x81\x84\0\0\0\0stop", b"\x81\x05hello"
BY_TCP = pytest.mark.parametrize("transport", ["tcp"], scope="session")
ACCESS = ("--access-logfile", "-", "--access-logformat", "access %(s)s %(r)s")


def opened(server, path="/echo"):
    """A raw client behind its handshake."""
    client = server.connect()
    client.send(request(path, headers=HANDSHAKE))
    response = client.receive()
    assert (response.status, response.header("sec-websocket-accept")) == (101, ACCEPT)
    return client


def url(server, path):
    host, port = server.address
    return f"ws://{host}:{port}{path}"


@pytest.fixture(params=["flask_sock", "eventlet"])
def server(request, serve, hub):
    if request.param == "flask_sock":
        return serve("sockets:app", *ACCESS)
    if hub != "eventlet":
        pytest.skip("eventlet.websocket needs eventlet's hub")
    return serve("eventlet_sockets:app", *ACCESS)


def test_websocket_echoes(server):
    client = opened(server)
    for _ in range(3):
        client.send(HELLO)
        assert client.read(len(HELLO_BACK)) == HELLO_BACK
    client.send_pieces(bytes([byte]) for byte in HELLO)
    assert client.read(len(HELLO_BACK)) == HELLO_BACK
    client.send(STOP)
    assert client.receive_once()[:1] == b"\x88"
    client.close()
    server.wait_for_log("^websocket handler ended$")
    assert server.connect().request("/").body == b"plain"


@BY_TCP
def test_websocket_client_library(server):
    websocket = WebSocket(url(server, "/echo"))
    for message in ("hello", "x" * 100000, b"bytes \0"):
        websocket.send(message)
        assert websocket.receive(timeout=15) == message
    websocket.close()
    assert server.connect().request("/").body == b"plain"


@BY_TCP
def test_server_ends_the_websocket(server):
    websocket = WebSocket(url(server, "/echo"))
    websocket.send("stop")
    with pytest.raises(ConnectionClosed):
        websocket.receive(timeout=15)


def test_takeover_is_logged_once(server):
    client = opened(server)
    client.send(HELLO + STOP)
    assert client.read(len(HELLO_BACK)) == HELLO_BACK
    client.half_close()
    client.read_to_end()
    server.wait_for_log("^access .* GET /echo HTTP/1.1$")
    assert server.connect().request("/").body == b"plain"
    assert len([line for line in server.whole_log("^access ") if "/echo" in line]) == 1
    assert server.log("ERROR|WARNING") == []


def test_later_requests_on_the_same_greenlets_are_fine(server):
    for _ in range(5):
        client = opened(server)
        client.send(HELLO + STOP)
        assert client.read(len(HELLO_BACK)) == HELLO_BACK
        client.half_close()
        client.read_to_end()
        plain = server.connect()
        for _ in range(2):
            response = plain.request("/")
            assert (response.status, response.body) == (200, b"plain")


def test_websockets_and_requests_side_by_side(server):
    clients = [opened(server) for _ in range(20)]
    for _ in range(3):
        for client in clients:
            client.send(HELLO)
        assert server.connect().request("/").body == b"plain"
        for client in clients:
            assert client.read(len(HELLO_BACK)) == HELLO_BACK


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_client_that_leaves(server, leave):
    client = opened(server)
    client.send(HELLO)
    assert client.read(len(HELLO_BACK)) == HELLO_BACK
    getattr(client, leave)()
    server.wait_for_log("^access .* GET /echo HTTP/1.1$")
    assert server.connect().request("/").body == b"plain"


def test_after_requests_on_the_same_connection(server):
    client = server.connect()
    assert client.request("/").body == b"plain"
    client.send(request("/echo", headers=HANDSHAKE))
    assert client.receive().status == 101
    client.send(HELLO)
    assert client.read(len(HELLO_BACK)) == HELLO_BACK


def test_websocket_outlives_the_deadlines_of_requests(serve):
    server = serve("sockets:app", "--keep-alive", 1,
                   settings={"head_timeout": 0.3, "body_timeout": 0.3, "write_timeout": 0.3})
    client = opened(server)
    other = server.connect()
    other.send(b"GET / HT")
    assert other.receive().status == 408
    other.read_to_end()
    idle = server.connect()
    assert idle.request("/").body == b"plain"
    idle.expect_close()
    client.send(HELLO)
    assert client.read(len(HELLO_BACK)) == HELLO_BACK


def test_handler_that_fails(serve):
    server = serve("sockets:app")
    client = opened(server, "/fails")
    client.send(HELLO)
    assert client.read(len(HELLO_BACK)) == HELLO_BACK
    client.read_to_end()
    server.expect_traceback("LookupError: deliberate")
    assert server.connect().request("/").body == b"plain"


def test_takeover_by_hand(serve):
    server = serve("sockets:app", *ACCESS)
    client = server.connect()
    client.send(request("/by-hand", headers=["Upgrade: upper", "Connection: upgrade"]))
    assert client.receive().status == 101
    for word in (b"one", b"two"):
        client.send(word)
        assert client.read(3) == word.upper()
    client.half_close()
    client.expect_close()
    server.wait_for_log("^taken over and done$")
    assert len(server.whole_log("^access .* GET /by-hand")) == 1


def test_already_handled(serve):
    server = serve("sockets:app")
    client = server.connect()
    client.send(request("/handled") * 2)
    assert client.receive().body == b"mine"
    client.expect_close()
    assert server.whole_log() == []


def test_stop_iteration_alone_is_an_error(serve):
    server = serve("sockets:app")
    assert server.connect().request("/raised").status == 500
    server.expect_traceback("StopIteration")
