"""Flask-SocketIO, with the application in examples/socketio and the client of python-socketio."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from compatibility.socketio_chat import Chat

pytestmark = pytest.mark.library("flask-socketio", "python-socketio", area="WebSockets and events", note=(
    "Use `async_mode='threading'`, or the name of the hub. "
    "Polling with several workers needs a proxy that sends each client to one server with one worker."))

TRANSPORTS = pytest.mark.parametrize("transports", [["polling"], ["websocket"], None],
                                     ids=["polling", "websocket", "upgrade"])


@pytest.fixture(params=["threading", "native", "simple-websocket"])
def server(request, library_app, hub):
    """On gevent, "native" takes gevent-websocket if it is installed, and "simple-websocket" hides it."""
    if request.param == "simple-websocket" and hub != "gevent":
        pytest.skip("only python-engineio's driver for gevent has this choice")
    mode = "threading" if request.param == "threading" else hub
    config = "import sys; sys.modules['geventwebsocket'] = None" if request.param == "simple-websocket" else ""
    return library_app(f"chat:create_app('{mode}')", example="socketio", config=config)


@pytest.fixture
def chat() -> Iterator[Callable[..., Chat]]:
    """``chat(server, transports)``: a client that is disconnected after the test."""
    clients: list[Chat] = []

    def chat(server, transports):
        clients.append(Chat(server, transports))
        return clients[-1]

    yield chat
    for client in clients:
        client.close()


@TRANSPORTS
def test_messages_reach_the_clients_in_a_room(server, chat, transports):
    """Rooms, broadcasts and acknowledgements, by polling and by WebSocket."""
    first, second, outsider = (chat(server, transports) for _ in range(3))
    assert [first.join("red"), second.join("red"), outsider.join("blue")] == [1, 1, 1]
    assert first.next() == ("joined", second.sid)
    first.say("red", "hello")
    outsider.say("blue", "nobody else is here")
    assert [first.said(), second.said(), outsider.said()] == ["hello", "hello", "nobody else is here"]
    assert second.client.transport() == ("polling" if transports == ["polling"] else "websocket")


def test_others_receive_a_disconnection(server, chat):
    """Other clients receive the disconnection of a client."""
    # Not by polling: the client may end before it has sent that it disconnects.
    first, second = (chat(server, ["websocket"]) for _ in range(2))
    first.join("red")
    second.join("red")
    assert first.next() == ("joined", second.sid)
    second.client.disconnect()
    assert first.next() == ("left", second.sid)


def test_lost_connection_is_a_disconnection(server, chat):
    """Other clients receive the loss of a client's connection."""
    first, second = (chat(server, ["websocket"]) for _ in range(2))
    first.join("red")
    second.join("red")
    assert first.next() == ("joined", second.sid)
    # The client does not close a socket that has failed.
    with second.client.eio.ws.sock as lost:
        lost.shutdown(socket.SHUT_RDWR)
        assert first.next() == ("left", second.sid)


def test_many_clients(server, chat):
    """A message reaches 40 clients."""
    clients = [chat(server, ["websocket"]) for _ in range(40)]
    for client in clients:
        client.join("red")
    clients[0].say("red", "hello")
    for client in clients:
        assert client.said() == "hello"


def test_two_servers_share_rooms(library_app, chat, database):
    """Two servers share rooms with a message queue in Redis."""
    env = {"MESSAGE_QUEUE": database("redis").url}
    servers = [library_app("chat:create_app()", example="socketio", env=env) for _ in range(2)]
    first, second = (chat(server, ["websocket"]) for server in servers)
    first.join("red")
    second.join("red")
    assert first.next() == ("joined", second.sid)
    second.say("red", "hello")
    assert [first.said(), second.said()] == ["hello", "hello"]
