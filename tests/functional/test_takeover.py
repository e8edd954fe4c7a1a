"""WebSocket libraries take over a connection. The server does not touch it again, and logs one request."""

from __future__ import annotations

import pytest
from simple_websocket import Client as WebSocket
from simple_websocket import ConnectionClosed

from support.client import request
from support.launch import hubs
from support.tls import secured
from support.waiting import until
from support.websocket import ACCESS, HANDSHAKE, HELLO, HELLO_BACK, STOP, greet, opened, shake_hands

BY_TCP = pytest.mark.only(transport="tcp")

#: eventlet.websocket works only on the eventlet hub.
pytestmark = pytest.mark.parametrize(
    ("hub", "library"),
    [(hub, "flask_sock") for hub in hubs()] + [("eventlet", "eventlet")] * ("eventlet" in hubs()), scope="session")


def url(server, path):
    host, port = server.address
    return f"ws://{host}:{port}{path}"


@pytest.fixture
def server(serve, library):
    return serve("sockets:app" if library == "flask_sock" else "eventlet_sockets:app", *ACCESS)


@pytest.mark.smoke
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
    word = server.word()
    client = opened(server, f"/echo?{word}")
    client.send(HELLO + STOP)
    assert client.read(len(HELLO_BACK)) == HELLO_BACK
    client.half_close()
    client.read_to_end()
    server.wait_for_log(f"^access .*{word} ")
    assert server.connect().request("/").body == b"plain"
    assert len(server.whole_log(f"^access .*{word} ")) == 1
    assert server.log("ERROR|WARNING") == []


def test_later_requests_on_the_same_greenlets(server):
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
def test_client_disconnects(server, leave):
    client = opened(server)
    client.send(HELLO)
    assert client.read(len(HELLO_BACK)) == HELLO_BACK
    getattr(client, leave)()
    server.wait_for_log("^access .* GET /echo HTTP/1.1$")
    assert server.connect().request("/").body == b"plain"


def test_takeover_after_requests_on_the_same_connection(server):
    client = server.connect()
    assert client.request("/").body == b"plain"
    client.send(request("/echo", headers=HANDSHAKE))
    assert client.receive().status == 101
    client.send(HELLO)
    assert client.read(len(HELLO_BACK)) == HELLO_BACK


# Over TLS, where a socket cannot be duplicated


@pytest.fixture
def path(library):
    return "/echo" if library == "flask_sock" else "/eventlet-echo"


def opened_securely(server, context, path):
    """A client that has done both handshakes and exchanged a first message."""
    return greet(shake_hands(secured(server, context), path))


def descriptors(server, context):
    """The number of open file descriptors of the worker, including that of this request."""
    client = secured(server, context)
    count = int(client.request("/descriptors", headers=["Connection: close"]).body)
    client.close()
    return count


@BY_TCP
def test_client_library_over_tls(start, certificate, trusting, path):
    server = start("socket_access:app", "--certfile", certificate)
    before = descriptors(server, trusting)
    websocket = WebSocket(url(server, path).replace("ws:", "wss:"), ssl_context=trusting)
    for message in ("hello", "x" * 100000, b"bytes \0"):
        websocket.send(message)
        assert websocket.receive(timeout=15) == message
    # Not close(), which leaves a thread that reads from a file descriptor that the next client could get.
    websocket.send("stop")
    websocket.thread.join(15)
    assert not websocket.connected
    until(lambda: descriptors(server, trusting) <= before, "the worker has closed its socket")


@BY_TCP
def test_takeover_over_tls_after_other_requests(serve, certificate, trusting, path):
    server = serve("socket_access:app", "--certfile", certificate)
    client = secured(server, trusting)
    for _ in range(2):
        assert client.request("/").body == b"ok"
    client.send(request(path, headers=HANDSHAKE))
    assert client.receive().status == 101
    for byte in HELLO:
        client.send(bytes([byte]))
    assert client.read(len(HELLO_BACK)) == HELLO_BACK


@BY_TCP
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_client_disconnects_over_tls(start, certificate, trusting, path, leave):
    server = start("socket_access:app", "--certfile", certificate)
    before = descriptors(server, trusting)
    client = opened_securely(server, trusting, path)
    getattr(client, leave)()
    until(lambda: descriptors(server, trusting) <= before, "the worker has closed its socket")


@BY_TCP
def test_client_that_never_sends_close_notify(start, certificate, trusting, path):
    server = start("socket_access:app", "--certfile", certificate)
    before = descriptors(server, trusting)
    clients = [opened_securely(server, trusting, path) for _ in range(3)]
    for client in clients:
        client.send(STOP)
    until(lambda: descriptors(server, trusting) <= before, "the worker has closed their sockets")
    server.signal(15)
    assert server.wait_for_exit(5) == 0
