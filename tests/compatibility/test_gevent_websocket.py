"""``environ["wsgi.websocket"]``: applications for gevent-websocket run on GeventWorker."""

from __future__ import annotations

import json
import signal

import pytest

from support.client import request
from support.websocket import ACCESS, HANDSHAKE, HELLO, HELLO_BACK, STOP, greet, opened, shake_hands

#: gevent-websocket sends no status.
CLOSE = b"\x88\x00"

pytestmark = [pytest.mark.only(hub="gevent"), pytest.mark.library("gevent-websocket", area="WebSockets and events")]


@pytest.fixture
def server(library_app):
    return library_app("gevent_websockets:app", *ACCESS)


@pytest.mark.parametrize("path", ["/echo", "/flask-like"])
def test_websocket_echoes(server, path):
    """Applications that use `environ["wsgi.websocket"]` run unchanged."""
    client = greet(greet(opened(server, path)))
    client.send(STOP)
    assert client.read_to_end() == CLOSE
    server.wait_for_log("^websocket handler ended, closed=False$")
    server.wait_for_log(f"^access 101 GET {path} ")
    assert server.connect().request("/").body == b"ok"


def test_client_closes_the_websocket(server):
    client = greet(opened(server))
    client.send(b"\x88\x82\0\0\0\0\x03\xe8")
    assert client.read_to_end() == CLOSE
    server.wait_for_log("^websocket handler ended, closed=True$")


def test_client_that_leaves_ends_the_websocket(server):
    greet(opened(server)).reset()
    server.wait_for_log("^websocket handler ended, closed=True$")


def test_websocket_has_the_properties_of_the_handshake(server):
    client = server.connect()
    client.send(request("/facts", headers=[*HANDSHAKE, "Origin: http://test", "Sec-WebSocket-Protocol: chat"]))
    assert client.receive().status == 101
    frame = client.read_to_end()
    assert json.loads(frame[2:2 + frame[1]]) == ["13", "/facts", "http://test", "chat", "13"]


def test_application_sends_to_other_clients(server):
    clients = [opened(server, "/broadcast") for _ in range(3)]
    clients[0].send(HELLO)
    # A client is listed when the application has used its websocket.
    assert [client.read(len(HELLO_BACK)) for client in clients] == [HELLO_BACK] * 3


def test_handler_that_fails_is_logged_and_the_client_disconnected(server):
    client = opened(server, "/failing")
    client.send(HELLO)
    assert client.read_to_end() == CLOSE
    server.expect_traceback("^RuntimeError: this websocket handler fails$")


def test_application_that_does_not_use_the_websocket_sends_a_response(server):
    client = server.connect()
    client.send(request("/refused", headers=HANDSHAKE))
    assert (client.receive().status, client.request().status) == (403, 200)


@pytest.mark.parametrize("wrong", [
    ["Upgrade: h2c", "Connection: Upgrade"],
    ["Upgrade: websocket", "Connection: close", *HANDSHAKE[2:]],
    [*HANDSHAKE[:3], "Sec-WebSocket-Version: 12"],
    [*HANDSHAKE[:2], "Sec-WebSocket-Version: 13"],
    [*HANDSHAKE[:2], "Sec-WebSocket-Key: short", "Sec-WebSocket-Version: 13"],
    [*HANDSHAKE[:2], "Sec-WebSocket-Key: =", "Sec-WebSocket-Version: 13"],
])
def test_request_that_is_no_handshake_has_no_websocket(server, wrong):
    assert server.connect().request("/refused", headers=wrong).status == 400


def test_resource_negotiates_a_subprotocol(library_app):
    server = library_app("gevent_resource:app")
    client = server.connect()
    client.send(request("/echo", headers=[*HANDSHAKE, "Sec-WebSocket-Protocol: other, shouting"]))
    response = client.receive()
    assert (response.status, response.header("sec-websocket-protocol")) == (101, "shouting")
    client.send(HELLO)
    assert client.read(len(HELLO_BACK)) == HELLO_BACK.upper()
    client.close()
    server.wait_for_log("^closed$")
    assert server.connect().request("/").body == b"plain"


def test_other_libraries_make_their_own_handshake(serve):
    client = greet(shake_hands(serve("sockets:app").connect(), "/echo"))
    client.send(STOP)
    assert client.receive_once()[:1] == b"\x88"


def test_drain_ends_after_the_websocket(library_app):
    server = library_app("gevent_websockets:app", "--graceful-timeout", "10")
    client = greet(opened(server))
    server.signal(signal.SIGTERM)
    client.send(STOP)
    assert client.read_to_end() == CLOSE
    assert server.wait_for_exit() == 0


@pytest.mark.library("gevent-websocket", "flask-socketio", area="WebSockets and events")
def test_driver_of_engineio_uses_gevent_websocket(library_app):
    """Flask-SocketIO uses gevent-websocket if it is installed."""
    client = shake_hands(library_app("socketio_app:app").connect(), "/socket.io/?transport=websocket&EIO=4")
    # The packet 0 of Engine.IO opens its session, and 40 that of Socket.IO.
    received = b""
    while not received.endswith(b"}"):
        received += client.receive_once()
    assert b'0{"sid":"' in received
    client.send(b"\x81\x82\0\0\0\x0040")
    received = b""
    while not received.endswith(b"}"):
        received += client.receive_once()
    assert received[2:].startswith(b'40{"sid":"')
