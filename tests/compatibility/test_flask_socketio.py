"""Flask-SocketIO, with the application in examples/socketio and the client of python-socketio."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable, Iterator

import pytest

from support.waiting import WAIT_LIMIT

requests = pytest.importorskip("requests")
socketio = pytest.importorskip("socketio")

pytestmark = pytest.mark.library("flask-socketio", "python-socketio", area="WebSockets and events", note=(
    "Use `async_mode='threading'`, or the name of the hub. "
    "Polling with several workers needs a proxy that sends each client to one server with one worker."))

TRANSPORTS = pytest.mark.parametrize("transports", [["polling"], ["websocket"], None],
                                     ids=["polling", "websocket", "upgrade"])


class Chat:
    """A client of the chat, and the events that it has received."""

    def __init__(self, server, transports):
        self.events: queue.Queue[tuple[str, object]] = queue.Queue()
        self._session = requests.Session()
        self.client = socketio.Client(reconnection=False, http_session=self._session)
        for name in ("joined", "left", "said"):
            self.client.on(name, lambda value, name=name: self.events.put((name, value)))
        self.client.connect("http://{}:{}".format(*server.address), transports=transports, wait_timeout=WAIT_LIMIT)
        self.sid = self.client.get_sid()

    def join(self, room):
        return self.client.call("join", room, timeout=WAIT_LIMIT)

    def say(self, room, text):
        self.client.emit("say", (room, text))

    def next(self):
        return self.events.get(timeout=WAIT_LIMIT)

    def said(self):
        """The next text. Clients may join in the meantime."""
        name, value = self.next()
        while name == "joined":
            name, value = self.next()
        assert name == "said"
        return value["text"]

    def close(self):
        self.client.disconnect()
        self._session.close()


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
